"""Connecting for a model: secrets that are missing are asked of the person, who need not tell them to the model."""

from __future__ import annotations

import shlex
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, Protocol

from servicetsunami.operations.connections import connect_source
from servicetsunami.operations.models import ConnectResult
from servicetsunami.operations.read_only import changing
from servicetsunami.operations.secret_requests import ask_for, find_waiting, outcome
from servicetsunami.operations.secrets import Wish, expected_secrets, missing_secrets
from servicetsunami.sdk import ConfigError, Problem, secret_fields

if TYPE_CHECKING:
    from servicetsunami.operations.app import App
    from servicetsunami.operations.caller import Caller
    from servicetsunami.records import SecretRequest

PATIENCE_SECONDS = 10.0
"""How long a call waits for a person who has a page before them."""
_KEY = "secrets"
_REFUSALS = frozenset({"auth", "credentials_refused"})


class Person(Protocol):
    """Whoever sits at the client, as far as it lets us ask."""

    @property
    def can_open_page(self) -> bool:
        """True if there is a way to show a page."""

    @property
    def state(self) -> str | None:
        """What came back of an earlier round of the same call; None in the first."""

    def refused(self, key: str) -> bool:
        """Tell whether the earlier round was answered, and not with yes."""

    async def open_page(self, key: str, message: str, url: str, page_id: str, state: str = "") -> bool:
        """Ask to open a page. May end the call, which then runs again with the answer."""


class Door(Protocol):
    """Where the pages of this server are reached."""

    async def url(self, token: str) -> str:
        """Return the address of a page, which is served from now on."""

    async def upload_url(self, token: str) -> str:
        """Return the address that a file is uploaded to, which is served for as long as the link lasts."""


@changing("nothing was connected")
async def connect_for_model(
    app: App, caller: Caller, wish: Wish, *, person: Person, door: Door | None
) -> ConnectResult:
    """Connect, and let the person give on a page which secrets are missing, or were kept and are refused now.

    Whether they did is looked up in our own records. Without a page, the answer names the command for a terminal.
    """
    if person.state:
        return await _after_asking(app, caller, wish, person)
    missing = await missing_secrets(app, caller, wish)
    earlier = await _given_meanwhile(app, caller, wish, person) if missing else None
    if earlier is not None:
        return _as_it_stands(earlier)
    asks = door is not None and person.can_open_page
    problem, connection_id = None, None
    if not (missing and asks) and not _required(app, wish, missing):
        result = await connect_source(app, caller, **vars(wish))
        missing = _refused_now(app, wish, result.problem)
        if not missing:
            return result
        problem, connection_id = result.problem, result.connection_id
    if door is None or not asks:
        return _needed(caller, wish, missing, problem, connection_id)
    return await _ask(app, caller, wish, missing, person, door)


def refuse_secrets(app: App, wish: Wish) -> None:
    """Raise `ConfigError` (`secret_not_accepted`) for a secret among the settings; never repeats it."""
    for name in secret_fields(app.plugins.connector(wish.connector).config_type):
        if wish.config.get(name) is not None:
            raise secret_not_accepted(name)


def secret_not_accepted(name: str) -> ConfigError:
    """Return the error for a secret that came where a model sees it."""
    return ConfigError(
        f"'{name}' is a secret, which this server does not take from a conversation, so nothing was connected",
        code="secret_not_accepted",
        field=name,
        fix=f"call again without '{name}': the person is asked for it; since it was written here, change it first",
    )


async def _after_asking(app: App, caller: Caller, wish: Wish, person: Person) -> ConnectResult:
    """Answer the second round of a call whose first ended with a page to open."""
    refused = person.refused(_KEY)
    request = await outcome(app, caller, person.state or "", 0.0 if refused else PATIENCE_SECONDS)
    if request is None or (refused and request.status != "done"):
        missing = request.fields if request else await missing_secrets(app, caller, wish)
        return _needed(caller, wish, missing, None, None)
    return _as_it_stands(request)


async def _given_meanwhile(app: App, caller: Caller, wish: Wish, person: Person) -> SecretRequest | None:
    """Return what an earlier call asked the person for, once they have given it or patience ends."""
    waiting = await find_waiting(app, caller, wish)
    found = await outcome(app, caller, waiting.id, PATIENCE_SECONDS) if waiting else None
    # One that is not done may have a page that the person has closed: they are asked again.
    return found if found is not None and (found.status == "done" or not person.can_open_page) else None


async def _ask(
    app: App, caller: Caller, wish: Wish, missing: tuple[str, ...], person: Person, door: Door
) -> ConnectResult:
    page = await ask_for(app, caller, wish, missing)
    title = app.plugins.connector(wish.connector).title or wish.connector
    message = (
        f"To connect {title} as '{wish.name}', give {' and '.join(missing)} on a page of this server, not in the "
        f"conversation. Go on there only if it shows the code {page.code}."
    )
    opened = await person.open_page(_KEY, message, await door.url(page.token), page.id, page.id)
    request = await outcome(app, caller, page.id, PATIENCE_SECONDS if opened else 0.0)
    if not opened or request is None:
        return _needed(caller, wish, missing, None, None)
    return _as_it_stands(request)


def _as_it_stands(request: SecretRequest) -> ConnectResult:
    told = {"connection_id": request.connection_id, "name": request.name, "connector": request.connector}
    if request.status == "done":
        return ConnectResult(**told, status="success", tables=request.tables)
    problem = Problem.model_validate(request.problem) if request.problem else None
    if problem is not None and request.status == "failed":
        notice = "The person can correct the secret on the page; call again once they have."
        return ConnectResult(**told, status="failed", problem=problem, notice=notice)
    notice = "The page waits for the person; call again with the same arguments once they have finished there."
    return ConnectResult(**told, status="needs_secret", missing_secrets=request.fields, notice=notice)


def _needed(
    caller: Caller, wish: Wish, missing: tuple[str, ...], problem: Problem | None, connection_id: str | None
) -> ConnectResult:
    where = "in a terminal" if caller.local else f"on the server, for tenant {caller.tenant}"
    return ConnectResult(
        connection_id=connection_id,
        name=wish.name,
        connector=wish.connector,
        status="needs_secret",
        missing_secrets=missing,
        problem=problem,
        notice=f"Do not ask for the secret here. The person can run {where}, which asks for it: {_command(wish)}",
    )


def _command(wish: Wish) -> str:
    parts = ["tsunami", "connect", wish.connector, "--name", wish.name]
    for name, value in wish.config.items():
        for one in value if isinstance(value, list | tuple) else [value]:
            parts += ["--set", f"{name}={_option(one)}"]
    for name, place in wish.secret_refs.items():
        parts += ["--secret", f"{name}={place}"]
    return shlex.join(parts)


def _option(value: Any) -> str:
    text = str(value).lower() if isinstance(value, bool) else str(value)
    return f"@{text}" if text.startswith("@") else text  # one would be read as the name of a file


def _required(app: App, wish: Wish, missing: Iterable[str]) -> list[str]:
    fields = app.plugins.connector(wish.connector).config_type.model_fields
    return [name for name in missing if fields[name].is_required()]


def _refused_now(app: App, wish: Wish, problem: Problem | None) -> tuple[str, ...]:
    """Name the secrets that were refused and did not come with this call."""
    cls = app.plugins.connector(wish.connector)
    if problem is None:
        return ()
    if problem.field in secret_fields(cls.config_type):
        refused: tuple[str, ...] = (problem.field,)
    else:
        refused = expected_secrets(cls) if problem.code in _REFUSALS else ()
    return tuple(name for name in refused if not wish.config.get(name) and name not in wish.secret_refs)
