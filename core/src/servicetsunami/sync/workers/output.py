"""What workers print: it never reaches the protocol nor the host's own output, only its log, redacted and bounded."""

from __future__ import annotations

import logging
import subprocess
import threading
from collections import deque

from servicetsunami.runtime.redaction import Redactor

log = logging.getLogger("servicetsunami.plugin.output")
_LINES = 100
_LONGEST_LINE = 2000


class Output:
    """The last lines that the process printed which was started last."""

    def __init__(self, redactor: Redactor) -> None:
        self._redactor = redactor
        self._lines: deque[str] = deque(maxlen=_LINES)

    def drain(self, process: subprocess.Popen[bytes]) -> None:
        """Read what the process prints in a thread, until nobody can print there any more."""
        lines = self._lines = deque(maxlen=_LINES)
        threading.Thread(target=self._drain, args=(process, lines), name="output of workers", daemon=True).start()

    def last(self) -> str | None:
        """Return the last line, redacted; None if nothing was printed."""
        return self._lines[-1] if self._lines else None

    def _drain(self, process: subprocess.Popen[bytes], lines: deque[str]) -> None:
        if process.stderr is None:
            return
        with process.stderr as stream:
            while line := stream.readline(_LONGEST_LINE):
                text = self._redactor.text(line.decode("utf-8", "replace").rstrip())
                lines.append(text)
                log.debug("a worker printed: %s", text)
