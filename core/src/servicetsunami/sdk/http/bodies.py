"""Bodies that are whole or an error: common clients hand out a cut gzip body as if it were complete."""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Iterator

from servicetsunami.sdk.errors import DataError, PermanentError, TransientError

ACCEPTED = "gzip, deflate"
"""What we ask for: each says within itself whether it came to its end."""
_WINDOW = {"gzip": 31, "x-gzip": 31, "deflate": 15}
_CHUNK = 1024 * 1024
_FREE_BYTES = 16 * 1024 * 1024
"""A body may grow to this much whatever it came from."""
_MOST_GROWTH = 200
"""Beyond that, how many bytes may come out of one: a bomb grows a thousandfold."""


def decoded(chunks: Iterable[bytes], encoding: str) -> Iterator[bytes]:
    """Yield a body as it was before `encoding`; raises `TransientError` (`source_interrupted`) if its end is missing.

    Chunks of the answer are at most a mebibyte long, however far a compressed one grows.
    """
    if encoding in ("", "identity"):
        return iter(chunks)
    if encoding not in _WINDOW:
        raise PermanentError(
            f"the server answers in the encoding '{encoding[:32]}', which nobody asked for",
            code="unknown_encoding",
            fix="make the server honour Accept-Encoding",
        )
    return _inflated(chunks, _WINDOW[encoding])


def cut(what: str) -> TransientError:
    """Return the error of a body that ended before its end."""
    return TransientError(f"{what}, so what came of it was thrown away", code="source_interrupted")


def _inflated(chunks: Iterable[bytes], window: int) -> Iterator[bytes]:
    came = gave = 0
    stream = zlib.decompressobj(window)
    for chunk in chunks:
        came += len(chunk)
        rest = chunk
        while rest:
            if stream.eof:  # a body may consist of several members, one after another
                stream = zlib.decompressobj(window)
            piece = _inflate(stream, rest)
            gave += len(piece)
            _check_growth(came, gave)
            yield piece
            rest = stream.unconsumed_tail or stream.unused_data
    if not stream.eof:
        raise cut("the compressed answer ended too early")


def _inflate(stream: zlib._Decompress, data: bytes) -> bytes:
    try:
        return stream.decompress(data, _CHUNK)
    except zlib.error as error:
        raise cut("the compressed answer is damaged") from error


def _check_growth(came: int, gave: int) -> None:
    if gave > _FREE_BYTES and gave > came * _MOST_GROWTH:
        raise DataError(
            f"the answer grows to more than {_MOST_GROWTH} times its compressed size, so it is not read on",
            code="body_too_large",
            fix="ask the server for smaller pages",
        )
