"""Text files as UTF-8: found out for certain, or told by the settings, or refused."""

from __future__ import annotations

import codecs
from collections.abc import Iterator

from servicetsunami.sdk import DataError
from servicetsunami_files.failures import refused
from servicetsunami_files.opening import Readable
from servicetsunami_files.places import Place

_MARKS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
_LONGEST_CHARACTER = 4


def utf8_chunks(file: Readable, place: Place, encoding: str | None, size: int) -> Iterator[bytes]:
    """Yield a text file in UTF-8 without its byte order mark, about `size` bytes at a time.

    UTF-8 is passed on unchecked: whoever makes text of it finds what is none. Raises `DataError` with code
    `bad_encoding` where the encoding cannot be told for certain, or is not what it was said to be.
    """
    first = file.read(size)
    found = codecs.lookup(encoding or _encoding_of(first, place)).name
    if found == "utf-8":
        yield first.removeprefix(codecs.BOM_UTF8)
        yield from iter(lambda: file.read(size), b"")
        return
    yield from _transcoded(file, first, found, place, size)


def _transcoded(file: Readable, first: bytes, encoding: str, place: Place, size: int) -> Iterator[bytes]:
    decoder = codecs.getincrementaldecoder(encoding)()
    data, lines = first, 0
    while True:
        try:
            text = decoder.decode(data, final=not data)
        except UnicodeError as error:
            raise not_in(place, encoding, lines + 1) from error
        lines += text.count("\n")
        if text:
            yield text.encode("utf-8")
        if not data:
            return
        data = file.read(size)


def _encoding_of(sample: bytes, place: Place) -> str:
    for mark, name in _MARKS:
        if sample.startswith(mark):
            return name
    if sample[:1024].count(0) * 4 > len(sample[:1024]):
        raise refused(
            place.name,
            "it looks like UTF-16 without the mark that says so",
            code="bad_encoding",
            fix="set encoding to utf-16-le or utf-16-be",
        )
    try:
        sample.decode("utf-8")
    except UnicodeDecodeError as error:
        if error.start < len(sample) - _LONGEST_CHARACTER:
            raise refused(
                place.name,
                f"line {sample.count(10, 0, error.start) + 1} is not UTF-8, and no other encoding can be told for sure",
                code="bad_encoding",
                fix="set encoding: cp1252 is likely for files of western Windows programs; look at a few accents after",
            ) from error
    return "utf-8"


def not_in(place: Place, encoding: str, line: int) -> DataError:
    """Return the error of a file that is not in its encoding."""
    return refused(
        place.name,
        f"line {line} or one soon after is not {encoding}",
        code="bad_encoding",
        fix="set encoding to what the file was written in, or have it written as UTF-8",
    )
