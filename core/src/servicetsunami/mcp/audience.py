"""Who is told of an event: everybody, or the callers of one tenant.

The events of the SDK name no audience, and the buses between processes carry nothing else. So an event for one tenant
travels as the update of a resource that no client can ask for, and becomes what it is where that tenant's clients are.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from mcp.shared.subscriptions import ResourcesListChanged, ResourceUpdated

if TYPE_CHECKING:
    from servicetsunami.mcp.host import ServerEvent, SubscriptionBus

_FOR = "servicetsunami:for:"


def resource_for(audience: str, uri: str) -> ServerEvent:
    """Return the event that a resource of one audience changed."""
    return ResourceUpdated(uri=f"{_FOR}{audience}:{uri}")


def resources_for(audience: str) -> ServerEvent:
    """Return the event that the list of resources changed for one audience."""
    return resource_for(audience, "")


def is_reserved(uri: str) -> bool:
    """Tell whether a URI is one of ours, which no client may watch."""
    return uri.startswith(_FOR)


def event_for(event: ServerEvent, audience: str) -> ServerEvent | None:
    """Return what an event is for one audience; None if it is for others."""
    if not isinstance(event, ResourceUpdated) or not is_reserved(event.uri):
        return event
    meant, _, uri = event.uri.removeprefix(_FOR).partition(":")
    if meant != audience:
        return None
    return ResourceUpdated(uri=uri) if uri else ResourcesListChanged()


class AudienceBus:
    """What one audience hears of a bus."""

    def __init__(self, bus: SubscriptionBus, audience: str) -> None:
        self._bus = bus
        self._audience = audience
        self.publish = bus.publish

    def subscribe(self, listener: Callable[[ServerEvent], None]) -> Callable[[], None]:
        """Call `listener` with every event for the audience; returns what ends that."""

        def heard(event: ServerEvent) -> None:
            meant = event_for(event, self._audience)
            if meant is not None:
                listener(meant)

        return self._bus.subscribe(heard)
