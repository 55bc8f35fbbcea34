"""What changes while the server runs, told to whoever listens in this process: fronts pass it on to their clients."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

Kind = Literal["run", "connection", "table", "plugins"]


@dataclass(frozen=True)
class Event:
    """One change: which thing of which tenant, never what it became."""

    kind: Kind
    tenant: str = ""
    """Empty for plugins, which are everybody's."""
    id: str = ""
    """A run's or connection's id, or a table as `schema.name`; empty for plugins."""
    listed: bool = False
    """True if it appeared or vanished."""


Listener = Callable[[Event], None]


class Events:
    """Passes events on at once, on the event loop; a listener must neither raise nor wait."""

    def __init__(self) -> None:
        self._listeners: dict[object, Listener] = {}

    def listen(self, listener: Listener) -> Callable[[], None]:
        """Call `listener` with every event from now on; returns what ends that."""
        token = object()
        self._listeners[token] = listener

        def end() -> None:
            self._listeners.pop(token, None)

        return end

    def tell(self, event: Event) -> None:
        """Tell of an event."""
        for listener in tuple(self._listeners.values()):
            listener(event)
