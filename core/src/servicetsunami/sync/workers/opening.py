"""Opening a plugin inside a worker, and sending its log to the host."""

from __future__ import annotations

import importlib
import json
import logging
import sys
import threading
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from ipaddress import ip_network
from operator import attrgetter
from pathlib import Path
from typing import Any

from servicetsunami.runtime.addresses import AddressPolicy
from servicetsunami.runtime.context import HostContext
from servicetsunami.runtime.redaction import Redactor
from servicetsunami.sdk import Json, Sink, Source
from servicetsunami.sdk.capability import PluginClass
from servicetsunami.sdk.oauth import TokenSource
from servicetsunami.sync.workers import limits
from servicetsunami.sync.workers.asking import Asking, RelayedContext
from servicetsunami.sync.workers.frames import Channel, ClosedError, Kind
from servicetsunami.sync.workers.tokens import AskedTokens


@dataclass(frozen=True)
class Spec:
    """What a worker must know to open a source or a warehouse. It goes through the socket alone: it holds secrets."""

    plugin: PluginClass
    config: Mapping[str, Any]
    """Settings and secrets as they are given to `config_type`."""
    tenant: str
    connection: str
    data_dir: Path
    policy: AddressPolicy
    secrets: tuple[str, ...] = ()
    """Values to mask wherever they turn up."""
    file_roots: tuple[Path, ...] = ()
    """Folders whose files the source may read."""
    tokens: TokenSource | None = None
    """Where the source gets access tokens; it stays with the host."""

    def encode(self, memory_mb: int, log_level: int) -> Json:
        """Write it for `open_plugin`."""
        return {
            "module": self.plugin.__module__,
            "qualname": self.plugin.__qualname__,
            "config": json.loads(json.dumps(dict(self.config), default=str)),
            "tenant": self.tenant,
            "connection": self.connection,
            "data_dir": str(self.data_dir),
            "allow_private": self.policy.allow_private,
            "networks": [str(network) for network in self.policy.networks],
            "secrets": list(self.secrets),
            "file_roots": [str(root) for root in self.file_roots],
            "path": [entry for entry in sys.path if entry],
            "memory_mb": memory_mb,
            "log_level": log_level,
        }

    def __repr__(self) -> str:
        return f"Spec({self.plugin.__name__}, tenant={self.tenant!r}, connection={self.connection!r})"


@dataclass(frozen=True)
class Opened:
    """An open source, and what of it must not be told."""

    plugin: Source[Any] | Sink[Any]
    redactor: Redactor


@dataclass(frozen=True)
class Means:
    """By what a worker reaches its host."""

    tokens: AskedTokens
    asking: Asking | None = None
    """None where it makes connections itself."""


def open_plugin(spec: Json, channel: Channel, stop: threading.Event, means: Means) -> Opened:
    """Import the plugin's class and make an instance of it."""
    limits.bound(spec["memory_mb"])
    _extend_path(spec["path"])
    redactor = Redactor(spec["secrets"])
    _log_to(channel, redactor, spec["log_level"])
    module = importlib.import_module(spec["module"])
    cls = attrgetter(spec["qualname"])(module)
    context = _context(spec, cls.name, stop, redactor, means)
    return Opened(cls(cls.config_type.model_validate(spec["config"]), context), redactor)


def _context(spec: Json, plugin: str, stop: threading.Event, redactor: Redactor, means: Means) -> HostContext:
    policy = AddressPolicy(spec["allow_private"], tuple(map(ip_network, spec["networks"])))
    roots = tuple(map(Path, spec["file_roots"]))
    given = (spec["tenant"], plugin, Path(spec["data_dir"]), policy, stop, redactor, spec["connection"], roots)
    context = HostContext(*given) if means.asking is None else RelayedContext(means.asking, *given)
    return context.with_tokens(means.tokens)


def _extend_path(entries: Iterable[str]) -> None:
    """Find modules where the host finds them: an isolated interpreter does not read PYTHONPATH."""
    sys.path.extend(entry for entry in entries if entry not in sys.path)


def _log_to(channel: Channel, redactor: Redactor, level: int) -> None:
    handler = _Sending(channel)
    handler.addFilter(redactor)
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level)


class _Sending(logging.Handler):
    """Sends records to the host; the filter before it has masked them."""

    def __init__(self, channel: Channel) -> None:
        super().__init__()
        self._channel = channel

    def emit(self, record: logging.LogRecord) -> None:
        """Send a record, with its traceback behind the message."""
        text = "\n".join(filter(None, (record.getMessage(), record.exc_text)))
        try:
            self._channel.send(Kind.LOG, {"name": record.name, "level": record.levelno, "message": text})
        except ClosedError:
            self.handleError(record)
