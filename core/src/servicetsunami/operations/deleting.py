"""Deleting a connection: its secrets and schedules go for good, the tables it filled stay."""

from __future__ import annotations

from typing import TYPE_CHECKING

from servicetsunami.operations.confirming import Act, Person, consent_to
from servicetsunami.operations.events import Event
from servicetsunami.operations.models import DeleteResult
from servicetsunami.operations.read_only import changing
from servicetsunami.operations.releasing import followed_streams, release_feeds
from servicetsunami.records import Connection

if TYPE_CHECKING:
    from servicetsunami.operations.app import App
    from servicetsunami.operations.caller import Caller

_SHOWN = 5
_ASK_FIRST = (
    "Nothing was deleted. Show the person what would be; only if they agree, call delete_connection again with this "
    "confirmation_token, within 10 minutes."
)


@changing("nothing was deleted")
async def delete_connection(
    app: App,
    caller: Caller,
    connection_id: str,
    *,
    confirmation_token: str | None = None,
    person: Person | None = None,
) -> DeleteResult:
    """Delete a connection and its secrets; the tables it filled stay, what holds a log at the source goes.

    A model's call asks `person` first or, where nobody can be asked, returns a token for a second call.
    """
    connection = await app.records.connection(caller.tenant, connection_id)

    async def look() -> Act:
        return await _act(app, await app.records.connection(caller.tenant, connection.id))

    consent = await consent_to(app, caller, look, token=confirmation_token, person=person)
    plan = await _plan(app, connection)
    if consent.answer == "given":
        notes = await release_feeds(app, connection)
        await app.records.delete_connection(caller.tenant, connection.id)
        app.events.tell(Event("connection", caller.tenant, connection.id, listed=True))
        return plan.model_copy(update={"notes": notes})
    if consent.answer == "refused":
        return plan.model_copy(update={"status": "kept"})
    waiting = {"status": "needs_confirmation", "confirmation_token": consent.token, "notes": (_ASK_FIRST,)}
    return plan.model_copy(update=waiting)


async def _plan(app: App, connection: Connection) -> DeleteResult:
    """Return what deleting does."""
    datasets = await app.records.datasets(connection.tenant)
    schedules = await app.records.schedules(connection.tenant)
    return DeleteResult(
        status="deleted",
        connection_id=connection.id,
        name=connection.name,
        connector=connection.connector,
        kept_tables=tuple(str(one.table) for one in datasets if one.connection_id == connection.id),
        schedules=tuple(one.id for one in schedules if one.connection_id == connection.id),
        followed_tables=tuple(sorted(await followed_streams(app, connection))),
    )


async def _act(app: App, connection: Connection) -> Act:
    plan = await _plan(app, connection)
    upon = {"changed_at": connection.updated_at.isoformat(), "plan": plan.model_dump(mode="json")}
    return Act("delete_connection", {"connection_id": connection.id}, upon, _question(plan))


def _question(plan: DeleteResult) -> str:
    what = f"Delete the connection '{plan.name}' ({plan.connector}, {plan.connection_id}) and its stored secrets?"
    effects = {
        "Its tables stay, but can no longer be synced from it: {}.": plan.kept_tables,
        "Its schedules go too: {}.": plan.schedules,
        "The source is told to stop keeping its log for {}.": plan.followed_tables,
    }
    told = [words.format(_some(names)) for words, names in effects.items() if names]
    return " ".join([what, *told, "This cannot be undone."])


def _some(names: tuple[str, ...]) -> str:
    more = f" and {len(names) - _SHOWN:,} more" if len(names) > _SHOWN else ""
    return f"{', '.join(names[:_SHOWN])}{more}"
