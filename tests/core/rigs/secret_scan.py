"""Looking for secrets in everything a server leaves behind or says, in the spellings in which they may turn up."""

from __future__ import annotations

import base64
import json
import os
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO
from urllib.parse import quote, quote_plus

_CHUNK = 65_536
RELAY = (sys.executable, str(Path(__file__)))
"""Runs the command that follows `FOLDER`, and keeps what goes through its standard streams in that folder."""


def spellings(secret: str) -> Iterator[bytes]:
    """Yield what a secret may look like."""
    raw = secret.encode()
    yield raw
    yield from (quote(secret, safe="").encode(), quote(secret).encode(), quote_plus(secret).encode())
    yield from (json.dumps(secret)[1:-1].encode(), json.dumps(json.dumps(secret))[3:-3].encode())
    yield from (repr(secret)[1:-1].encode(), raw.hex().encode(), raw.hex().upper().encode())
    for before in range(3):  # what stands before it shifts it by bytes
        middle = base64.b64encode(b"\0" * before + raw)[4 if before else 0 : (before + len(raw)) // 3 * 4]
        yield from (middle, middle.replace(b"+", b"-").replace(b"/", b"_"))


def hits(secrets: Iterable[str], content: bytes) -> list[str]:
    """Return the spellings that content holds."""
    return [spelling.decode() for secret in secrets for spelling in spellings(secret) if spelling in content]


def hits_in_files(secrets: Sequence[str], *folders: Path) -> dict[str, list[str]]:
    """Return the files below the folders, by what they hold."""
    files = [path for folder in folders for path in folder.rglob("*") if path.is_file() and not path.is_symlink()]
    found = {str(path): hits(secrets, path.read_bytes()) for path in files}
    return {path: held for path, held in found.items() if held}


@dataclass
class Processes:
    """What the processes that a test began let others see, while they run: their command lines and environments."""

    root: int = field(default_factory=os.getpid)
    besides: frozenset[str] = frozenset()
    """Command lines that are not looked at: of processes that were given the secret by whoever started them."""
    seen: set[bytes] = field(default_factory=set)
    looked_at: set[int] = field(default_factory=set)

    def look(self) -> None:
        """Look once."""
        for process in self._descendants():
            with suppress(OSError):
                folder = Path("/proc") / str(process)
                command = (folder / "cmdline").read_bytes()
                if any(text.encode() in command for text in self.besides):
                    self.seen.add(command)
                    continue
                self.seen |= {command, (folder / "environ").read_bytes()}
                self.looked_at.add(process)

    @contextmanager
    def watched(self) -> Iterator[Processes]:
        """Look again and again until the block ends."""
        end = threading.Event()

        def watch() -> None:
            while not end.wait(0.02):
                self.look()

        thread = threading.Thread(target=watch)
        thread.start()
        try:
            yield self
        finally:
            end.set()
            thread.join()

    def _descendants(self) -> Iterator[int]:
        parents: dict[int, list[int]] = {}
        for folder in Path("/proc").iterdir():
            with suppress(OSError, ValueError):
                parent = int((folder / "stat").read_text().rpartition(")")[2].split()[1])
                parents.setdefault(parent, []).append(int(folder.name))
        waiting = list(parents.get(self.root, ()))
        while waiting:
            process = waiting.pop()
            yield process
            waiting += parents.get(process, ())


class Tap:
    """A way to a port on this machine that keeps all that goes through it."""

    def __init__(self, port: int) -> None:
        self._target = port
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listening.getsockname()[1]
        self.traffic = bytearray()
        self._threads: list[threading.Thread] = []
        self._begin(self._accept)

    def close(self) -> None:
        """Let nobody in any more; whoever is in has gone."""
        with suppress(OSError):
            self._listening.shutdown(socket.SHUT_RDWR)
        self._listening.close()
        for thread in self._threads:
            thread.join(30)

    def _begin(self, target: Callable[..., None], *args: socket.socket) -> threading.Thread:
        thread = threading.Thread(target=target, args=args, daemon=True)
        self._threads.append(thread)
        thread.start()
        return thread

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                self._begin(self._serve, self._listening.accept()[0])

    def _serve(self, near: socket.socket) -> None:
        with near, socket.create_connection(("127.0.0.1", self._target)) as far:
            back = self._begin(self._pump, far, near)
            self._pump(near, far)
            back.join()

    def _pump(self, one: socket.socket, other: socket.socket) -> None:
        with suppress(OSError):
            while part := one.recv(_CHUNK):
                self.traffic += part
                other.sendall(part)
        with suppress(OSError):
            other.shutdown(socket.SHUT_WR)


def _relay(folder: Path, command: Sequence[str]) -> int:
    with ExitStack() as stack:
        kept = [stack.enter_context((folder / name).open("ab")) for name in ("to", "from", "errors")]
        pipe = subprocess.PIPE
        child = stack.enter_context(subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=pipe))
        assert child.stdin is not None
        assert child.stdout is not None
        assert child.stderr is not None
        ways = (
            (sys.stdin.buffer, child.stdin, kept[0]),
            (child.stdout, sys.stdout.buffer, kept[1]),
            (child.stderr, sys.stderr.buffer, kept[2]),
        )
        threads = [threading.Thread(target=_copy, args=way, daemon=True) for way in ways]
        for thread in threads:
            thread.start()
        code = child.wait()
        for thread in threads[1:]:
            thread.join(10)
    return code


def _copy(source: BinaryIO, target: BinaryIO, kept: BinaryIO) -> None:
    with suppress(OSError, ValueError):
        while part := os.read(source.fileno(), _CHUNK):
            kept.write(part)
            kept.flush()
            target.write(part)
            target.flush()
    with suppress(OSError, ValueError):
        target.close()


if __name__ == "__main__":
    # Without the threads that still wait for input.
    os._exit(_relay(Path(sys.argv[1]), sys.argv[2:]))
