"""Who syncs next: a bounded number of places, shared out fairly among tenants and connections."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from itertools import count


@dataclass(frozen=True, eq=False)
class _Waiting:
    """Somebody who waits for a place."""

    tenant: str
    connection: str
    place: asyncio.Future[None]


class Turns:
    """Places for tables that are being synced: so many for one connection, so many in all.

    A place that becomes free goes to the tenant that has the fewest, then to the one served longest ago; likewise among
    the tenant's connections. Those of one connection are served in the order in which they came.
    """

    def __init__(self, *, per_connection: int = 2, at_once: int = 4) -> None:
        self._per_connection = per_connection
        self._at_once = at_once
        self._waiting: list[_Waiting] = []
        self._busy: Counter[str] = Counter()
        self._served: dict[str, int] = {}
        self._total = 0
        self._ticket = count(1)

    @asynccontextmanager
    async def take(self, tenant: str, connection: str) -> AsyncIterator[None]:
        """Wait for a place and hold it inside the block."""
        waiting = _Waiting(tenant, connection, asyncio.get_running_loop().create_future())
        self._waiting.append(waiting)
        self._share_out()
        await self._enter(waiting)
        try:
            yield
        finally:
            self._leave(waiting)

    async def _enter(self, waiting: _Waiting) -> None:
        try:
            await waiting.place
        except asyncio.CancelledError:
            if waiting in self._waiting:
                self._waiting.remove(waiting)
            else:
                self._leave(waiting)
            raise

    def _leave(self, waiting: _Waiting) -> None:
        self._total -= 1
        self._busy.subtract((waiting.tenant, waiting.connection))
        self._share_out()

    def _share_out(self) -> None:
        while self._total < self._at_once:
            ready = [one for one in self._waiting if self._busy[one.connection] < self._per_connection]
            if not ready:
                return
            self._serve(min(ready, key=self._rank))

    def _serve(self, waiting: _Waiting) -> None:
        self._waiting.remove(waiting)
        self._total += 1
        self._busy.update((waiting.tenant, waiting.connection))
        self._served[waiting.tenant] = self._served[waiting.connection] = next(self._ticket)
        if not waiting.place.done():
            waiting.place.set_result(None)

    def _rank(self, waiting: _Waiting) -> tuple[int, ...]:
        names = (waiting.tenant, waiting.connection)
        return tuple(number for name in names for number in (self._busy[name], self._served.get(name, 0)))
