"""The messages of the log are told apart, and what is unknown is never passed over."""

import struct

import pytest

from servicetsunami.sdk import PermanentError
from servicetsunami_postgres.pgoutput import UNCHANGED, Begin, Change, Commit, Truncate, decode, messages

HEADER = b"PGCOPY\n\xff\r\n\0" + struct.pack("!II", 0, 0)
TRAILER = struct.pack("!h", -1)
BEGIN = b"B" + struct.pack("!QqI", 77, 0, 1)
COMMIT = b"C" + struct.pack("!bQQq", 0, 77, 90, 0)


def _record(data: bytes) -> bytes:
    return struct.pack("!hi", 1, len(data)) + data


def _cells(*cells: bytes) -> bytes:
    return struct.pack("!h", len(cells)) + b"".join(cells)


def _text(value: bytes) -> bytes:
    return b"t" + struct.pack("!i", len(value)) + value


def test_a_copy_gives_its_messages_in_any_chunks() -> None:
    records = [_record(BEGIN), _record(COMMIT)]

    whole = list(messages(HEADER + b"".join(records) + TRAILER))
    parts = [message for chunk in (HEADER + records[0], records[1], TRAILER) for message in messages(chunk)]

    assert whole == parts == [Begin(77), Commit(90)]


def test_an_update_tells_the_old_key_and_what_is_unchanged() -> None:
    old, new = _cells(_text(b"1"), b"n"), _cells(_text(b"2"), b"u")
    data = b"U" + struct.pack("!I", 5) + b"K" + old + b"N" + new

    change = decode(data)

    assert change == Change("u", 5, (b"1", None), (b"2", UNCHANGED), len(data))


def test_a_truncate_names_every_table() -> None:
    data = b"T" + struct.pack("!ibII", 2, 0, 5, 6)

    message = decode(data)

    assert message == Truncate((5, 6))


@pytest.mark.parametrize("kind", [b"Y", b"O", b"M"])
def test_what_is_no_change_is_left_out(kind: bytes) -> None:
    assert list(messages(_record(kind + b"whatever") + _record(COMMIT))) == [Commit(90)]


@pytest.mark.parametrize("kind", [b"S", b"P", b"?", b""])
def test_what_is_unknown_ends_the_feed(kind: bytes) -> None:
    with pytest.raises(PermanentError) as caught:
        decode(kind)

    assert caught.value.code == "unknown_change"
