"""Places for syncs are bounded and shared out fairly."""

from __future__ import annotations

import asyncio

import pytest

from servicetsunami.operations.turns import Turns

pytestmark = pytest.mark.anyio


class Field:
    """Tasks that hold a place until they are told to leave."""

    def __init__(self, turns: Turns) -> None:
        self.turns = turns
        self.entered: list[str] = []
        self.gates: dict[str, asyncio.Event] = {}
        self._tasks: dict[str, asyncio.Task[None]] = {}

    async def come(self, *names: str) -> None:
        """Let tasks come for a place; a name is tenant, connection and a number, such as `acme/shop/1`."""
        for name in names:
            self.gates[name] = asyncio.Event()
            self._tasks[name] = asyncio.create_task(self._hold(name))
        await self._settle()

    async def leave(self, name: str) -> None:
        self.gates[name].set()
        await self._settle()

    async def give_up(self, name: str) -> None:
        self._tasks[name].cancel()
        await self._settle()

    async def _hold(self, name: str) -> None:
        tenant, connection, _ = name.split("/")
        async with self.turns.take(tenant, f"{tenant}/{connection}"):
            self.entered.append(name)
            await self.gates[name].wait()

    async def _settle(self) -> None:
        for _ in range(10):
            await asyncio.sleep(0)


async def test_a_connection_has_no_more_than_its_places() -> None:
    field = Field(Turns(per_connection=2, at_once=9))

    await field.come("a/x/1", "a/x/2", "a/x/3")
    before = list(field.entered)
    await field.leave("a/x/1")

    assert before == ["a/x/1", "a/x/2"]
    assert field.entered == ["a/x/1", "a/x/2", "a/x/3"]


async def test_all_together_have_no_more_than_the_bound() -> None:
    field = Field(Turns(per_connection=2, at_once=3))

    await field.come("a/x/1", "a/x/2", "b/y/1", "c/z/1")

    assert field.entered == ["a/x/1", "a/x/2", "b/y/1"]


async def test_a_free_place_goes_to_the_tenant_that_has_the_fewest() -> None:
    field = Field(Turns(per_connection=9, at_once=2))
    await field.come("a/x/1", "a/x/2", "a/x/3", "a/x/4", "b/y/1")

    await field.leave("a/x/1")

    assert field.entered == ["a/x/1", "a/x/2", "b/y/1"]


async def test_tenants_are_served_in_turn() -> None:
    field = Field(Turns(per_connection=9, at_once=1))
    await field.come("a/x/1", "a/x/2", "a/x/3", "b/y/1", "b/y/2")

    for name in ("a/x/1", "b/y/1", "a/x/2", "b/y/2"):
        await field.leave(name)

    assert field.entered == ["a/x/1", "b/y/1", "a/x/2", "b/y/2", "a/x/3"]


async def test_connections_of_a_tenant_are_served_in_turn() -> None:
    field = Field(Turns(per_connection=9, at_once=1))
    await field.come("a/x/1", "a/x/2", "a/y/1")

    await field.leave("a/x/1")

    assert field.entered == ["a/x/1", "a/y/1"]


async def test_who_gives_up_waiting_takes_no_place() -> None:
    field = Field(Turns(per_connection=1, at_once=1))
    await field.come("a/x/1", "a/x/2", "a/x/3")

    await field.give_up("a/x/2")
    await field.leave("a/x/1")

    assert field.entered == ["a/x/1", "a/x/3"]


async def test_who_is_cancelled_in_its_place_gives_it_back() -> None:
    field = Field(Turns(per_connection=1, at_once=1))
    await field.come("a/x/1", "a/x/2")

    await field.give_up("a/x/1")

    assert field.entered == ["a/x/1", "a/x/2"]


async def test_who_is_cancelled_as_its_place_comes_free_gives_it_back() -> None:
    turns = Turns(per_connection=1, at_once=1)
    field = Field(turns)
    await field.come("a/x/1", "a/x/2", "a/x/3")

    field.gates["a/x/1"].set()
    await asyncio.sleep(0)
    await field.give_up("a/x/2")

    assert field.entered == ["a/x/1", "a/x/3"]
