"""The count that both ends of a read keep, so that an end can be told from a read that stops early."""

from __future__ import annotations

import zlib

from servicetsunami.sdk import Json


class Tally:
    """Rows, frames and a checksum over every byte of them, in their order."""

    def __init__(self) -> None:
        self._rows = 0
        self._frames = 0
        self._digest = 0

    def add(self, rows: int, checksum: int) -> None:
        """Count a frame."""
        self._rows += rows
        self._frames += 1
        self._digest = zlib.crc32(checksum.to_bytes(4, "little"), self._digest)

    def trailer(self) -> Json:
        """Return what the other end must have counted too."""
        return {"rows": self._rows, "frames": self._frames, "digest": self._digest}
