"""Destructive acts need a second step, bound to the first: what is carried out is what was shown, to whom it was shown.

A model that asks for such an act gets a person's answer where its client can ask one, else a description of the act
and a token, with which it can ask again. The token holds no secret; it is sealed, so that it serves once, for a while,
for the same act by the same caller upon the same things.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import json
import secrets
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Literal, Protocol

from servicetsunami.sdk import Json, PermanentError

if TYPE_CHECKING:
    from servicetsunami.operations.app import App
    from servicetsunami.operations.caller import Caller

LASTS = timedelta(minutes=10)
"""How long a confirmation can be used."""
_PURPOSE = "confirmation/v1"
_KEY = "confirm"
_TIME, _ID, _SEAL = 5, 11, 16
_LONG = _TIME + _ID + 2 * _SEAL


@dataclass(frozen=True)
class Act:
    """Something destructive, as it would be carried out now."""

    operation: str
    arguments: Json
    """What it is asked for, in one form however the caller wrote it."""
    upon: Json
    """What it changes, as that is now: once this is another, earlier confirmations are void."""
    question: str
    """Asks a person, from `arguments` and `upon` alone."""


class Person(Protocol):
    """Whoever sits at the client, as far as it lets us ask."""

    @property
    def can_confirm(self) -> bool:
        """True if there is a way to ask."""

    @property
    def state(self) -> str | None:
        """What came back of an earlier round of the same call; None in the first."""

    async def confirm(self, key: str, message: str, state: str = "") -> bool | None:
        """Ask yes or no; None if nobody answered. May end the call, which then runs again with the answer."""


@dataclass(frozen=True)
class Consent:
    """Whether an act may be carried out; `needed` comes with a token to ask again with."""

    answer: Literal["given", "refused", "needed"]
    token: str | None = None


def _now() -> datetime:
    return datetime.now(UTC)


async def consent_to(
    app: App,
    caller: Caller,
    look: Callable[[], Awaitable[Act]],
    *,
    token: str | None = None,
    person: Person | None = None,
    now: Callable[[], datetime] = _now,
) -> Consent:
    """Tell whether the caller may carry out the act that `look` finds; call it before anything is changed.

    A person who calls has decided already. Raises `PermanentError` for a token that is none for this act
    (`confirmation_invalid`), came too late (`confirmation_expired`), was used (`confirmation_used`), or was made when
    things were otherwise (`confirmation_outdated`).
    """
    act = await look()
    if not caller.by_model:
        return Consent("given")
    seal = Seal(await app.records.derived_key(_PURPOSE), caller, now())
    if token is None and person is not None and person.can_confirm:
        token = person.state or seal.token(act)
        answer = await person.confirm(_KEY, act.question, token)
        if answer is False:
            return Consent("refused")
        if answer is None:  # a client that shows nobody anything says that nobody answered
            return Consent("needed", seal.token(act))
        act = await look()
    if token is None:
        return Consent("needed", seal.token(act))
    await _redeem(app, seal.opened(token, act), act)
    return Consent("given")


async def _redeem(app: App, opened: Opened, act: Act) -> None:
    # Remembered for longer than it lasts: the clocks of two processes may differ.
    if not await app.records.spend(f"{_PURPOSE}/{opened.id}", until=opened.expires_at + LASTS):
        raise _refused("confirmation_used", "was used before", act)
    if not opened.is_current:
        raise _refused("confirmation_outdated", "was given before what it is about changed", act)


@dataclass(frozen=True)
class Opened:
    """A token of ours for the act in hand."""

    id: str
    expires_at: datetime
    is_current: bool


class Seal:
    """Makes and opens tokens: expiry, random id, and two seals over these, of the act and of what it is upon."""

    def __init__(self, key: bytes, caller: Caller, now: datetime) -> None:
        self._key = key
        self._caller = (caller.tenant, caller.subject)
        self._now = now

    def token(self, act: Act) -> str:
        """Make a token for an act."""
        expires = int((self._now + LASTS).timestamp())
        head = expires.to_bytes(_TIME, "big") + secrets.token_bytes(_ID)
        sealed = head + self._of_act(head, act) + self._of_things(head, act)
        return base64.urlsafe_b64encode(sealed).decode()

    def opened(self, token: str, act: Act) -> Opened:
        """Open a token; raises `PermanentError` unless it is one of ours for this act and in time."""
        sealed = _decoded(token)
        head, of_act, of_things = sealed[: _TIME + _ID], sealed[_TIME + _ID : -_SEAL], sealed[-_SEAL:]
        if len(sealed) != _LONG or not hmac.compare_digest(of_act, self._of_act(head, act)):
            raise _refused("confirmation_invalid", "is none for this call", act)
        expires = datetime.fromtimestamp(int.from_bytes(head[:_TIME], "big"), UTC)
        if expires <= self._now:
            raise _refused("confirmation_expired", "came too late", act)
        return Opened(head.hex(), expires, hmac.compare_digest(of_things, self._of_things(head, act)))

    def _of_act(self, head: bytes, act: Act) -> bytes:
        return self._sealed(head, ["act", *self._caller, act.operation, act.arguments])

    def _of_things(self, head: bytes, act: Act) -> bytes:
        return self._sealed(head, ["upon", *self._caller, act.operation, act.arguments, act.upon])

    def _sealed(self, head: bytes, about: list[object]) -> bytes:
        text = json.dumps(about, sort_keys=True, separators=(",", ":"))
        return hmac.digest(self._key, head + text.encode(), hashlib.sha256)[:_SEAL]


def _decoded(token: str) -> bytes:
    """Return a token's bytes, b"" for one that is not written as we write them: one token has one form."""
    try:
        sealed = base64.b64decode(token.encode("ascii"), altchars=b"-_", validate=True)
    except (binascii.Error, ValueError):
        return b""
    return sealed if base64.urlsafe_b64encode(sealed).decode() == token else b""


def _refused(code: str, what: str, act: Act) -> PermanentError:
    return PermanentError(
        f"the confirmation {what}, so {act.operation} changed nothing",
        code=code,
        field="confirmation_token",
        fix="call it without a confirmation_token, show the person what it would do now, and let them decide",
    )
