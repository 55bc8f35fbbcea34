"""What destroys something is carried out as it was shown, once, in time, and for whoever was shown it."""

from __future__ import annotations

import base64
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any, Protocol

import pytest
from hypothesis import given
from hypothesis import strategies as st

from servicetsunami.operations.app import App
from servicetsunami.operations.caller import Caller
from servicetsunami.operations.confirming import LASTS, Act, Consent, Seal, consent_to
from servicetsunami.operations.deleting import delete_connection
from servicetsunami.operations.schedules import add_schedule
from servicetsunami.sdk import NotFound, PermanentError, TsunamiError

pytestmark = pytest.mark.anyio
ME = Caller("default")
NOW = datetime.now(UTC)
ACT = Act("overwrite_table", {"table": "silver.orders"}, {"version": 7}, "Overwrite silver.orders?")


class Garden(Protocol):
    """What the fixture `garden` offers."""

    open: Callable[[], AbstractAsyncContextManager[App]]


async def connected(app: App, name: str = "garden", tenant: str = "default") -> str:
    await app.records.create_tenant(tenant)
    created = await app.records.create_connection(
        tenant, name=name, connector="garden", settings={}, secrets={}, streams={}
    )
    return created.id


async def shown(app: App, connection: str, caller: Caller = ME) -> str:
    token = (await delete_connection(app, caller, connection)).confirmation_token
    assert token is not None
    return token


async def refusal(app: App, connection: str, token: str, caller: Caller = ME) -> str:
    with pytest.raises(TsunamiError) as caught:
        await delete_connection(app, caller, connection, confirmation_token=token)
    return caught.value.code


def found(act: Act = ACT) -> Callable[[], Any]:
    async def look() -> Act:
        return act

    return look


async def consent(app: App, act: Act = ACT, *, caller: Caller = ME, now: datetime = NOW, **more: Any) -> Consent:
    return await consent_to(app, caller, found(act), now=lambda: now, **more)


async def test_the_first_call_tells_what_would_go_and_deletes_nothing(garden: Garden) -> None:
    async with garden.open() as app:
        connection = await connected(app)
        schedule = await add_schedule(app, ME, connection, every="1h")

        result = await delete_connection(app, ME, "garden")

        assert (result.status, result.name, result.connector) == ("needs_confirmation", "garden", "garden")
        assert result.schedules == (schedule.schedule_id,)
        assert "Nothing was deleted." in result.notes[0]
        assert (await app.records.connection("default", connection)).id == connection


async def test_the_second_call_deletes_what_the_first_one_told_of(garden: Garden) -> None:
    async with garden.open() as app:
        connection = await connected(app)
        token = await shown(app, connection)

        result = await delete_connection(app, ME, "garden", confirmation_token=token)

        assert (result.status, result.confirmation_token) == ("deleted", None)
        with pytest.raises(NotFound):
            await app.records.connection("default", connection)


async def test_a_person_who_calls_has_decided(garden: Garden) -> None:
    async with garden.open() as app:
        await connected(app)

        result = await delete_connection(app, replace(ME, by_model=False), "garden")

    assert result.status == "deleted"


async def test_another_connection_is_not_deleted(garden: Garden) -> None:
    async with garden.open() as app:
        token = await shown(app, await connected(app))
        other = await connected(app, "orchard")

        assert await refusal(app, other, token) == "confirmation_invalid"


@pytest.mark.parametrize("caller", [replace(ME, subject="somebody"), Caller("rival")], ids=["subject", "tenant"])
async def test_another_principal_cannot_use_a_confirmation(garden: Garden, caller: Caller) -> None:
    async with garden.open() as app:
        token = await shown(app, await connected(app))
        await connected(app, tenant="rival")

        assert await refusal(app, "garden", token, caller) == "confirmation_invalid"


async def test_a_connection_that_was_replaced_meanwhile_stays(garden: Garden) -> None:
    async with garden.open() as app:
        connection = await connected(app)
        token = await shown(app, connection)
        await app.records.replace_connection("default", connection, settings={}, secrets={}, streams={})

        assert await refusal(app, connection, token) == "confirmation_outdated"
        assert await refusal(app, connection, token) == "confirmation_used"


async def test_a_connection_with_a_new_schedule_stays(garden: Garden) -> None:
    async with garden.open() as app:
        connection = await connected(app)
        token = await shown(app, connection)
        await add_schedule(app, ME, connection, every="1h")

        assert await refusal(app, connection, token) == "confirmation_outdated"


async def test_a_connection_that_was_tested_meanwhile_can_still_be_deleted(garden: Garden) -> None:
    async with garden.open() as app:
        connection = await connected(app)
        token = await shown(app, connection)
        await app.records.record_test("default", connection, None)

        result = await delete_connection(app, ME, connection, confirmation_token=token)

    assert result.status == "deleted"


async def test_a_confirmation_serves_once_whichever_process_is_asked(garden: Garden) -> None:
    async with garden.open() as one, garden.open() as other:
        token = (await consent(one)).token

        first = await consent(other, token=token)
        codes = []
        for app in (one, other):
            with pytest.raises(PermanentError) as caught:
                await consent(app, token=token)
            codes.append(caught.value.code)

    assert first.answer == "given"
    assert codes == ["confirmation_used", "confirmation_used"]


async def test_a_confirmation_is_void_after_ten_minutes(garden: Garden) -> None:
    async with garden.open() as app:
        token = (await consent(app)).token

        with pytest.raises(PermanentError) as caught:
            await consent(app, now=NOW + LASTS, token=token)
        in_time = await consent(app, now=NOW + LASTS - timedelta(seconds=1), token=token)

    assert caught.value.code == "confirmation_expired"
    assert in_time.answer == "given"


@pytest.mark.parametrize(
    ("act", "code"),
    [
        (replace(ACT, operation="drop_table"), "confirmation_invalid"),
        (replace(ACT, arguments={"table": "silver.people"}), "confirmation_invalid"),
        (replace(ACT, arguments={"table": "silver.orders", "mode": "drop"}), "confirmation_invalid"),
        (replace(ACT, upon={"version": 8}), "confirmation_outdated"),
    ],
    ids=["operation", "argument", "more_arguments", "version"],
)
async def test_any_act_is_bound_to_what_was_shown(garden: Garden, act: Act, code: str) -> None:
    async with garden.open() as app:
        token = (await consent(app)).token

        with pytest.raises(PermanentError) as caught:
            await consent(app, act, token=token)

    assert caught.value.code == code
    assert caught.value.fix


async def test_a_rotated_master_key_voids_confirmations(garden: Garden) -> None:
    async with garden.open() as app:
        token = (await consent(app)).token
        await app.records.rotate_keys()

        with pytest.raises(PermanentError) as caught:
            await consent(app, token=token)

    assert caught.value.code == "confirmation_invalid"


SEAL = Seal(b"k" * 32, ME, NOW)
TOKEN = SEAL.token(ACT)


@given(st.text(max_size=100) | st.text("ABCabc012-_=", min_size=64, max_size=64))
def test_no_text_passes_for_a_confirmation(text: str) -> None:
    with pytest.raises(PermanentError) as caught:
        SEAL.opened(text, ACT)

    assert caught.value.code == "confirmation_invalid"


@given(st.integers(0, len(base64.urlsafe_b64decode(TOKEN)) * 8 - 1))
def test_no_bit_of_a_confirmation_can_be_changed(bit: int) -> None:
    changed = bytearray(base64.urlsafe_b64decode(TOKEN))
    changed[bit // 8] ^= 1 << bit % 8
    token = base64.urlsafe_b64encode(bytes(changed)).decode()

    try:
        passes = SEAL.opened(token, ACT).is_current
    except PermanentError as error:
        passes = error.code != "confirmation_invalid"

    assert not passes


@given(st.integers(0, len(TOKEN) - 1), st.sampled_from(["", " ", "\n", "=", "A", "é"]))
def test_a_confirmation_is_written_in_one_way(place: int, more: str) -> None:
    changed = TOKEN[:place] + more + TOKEN[place:]

    if changed != TOKEN:
        with pytest.raises(PermanentError):
            SEAL.opened(changed, ACT)
    assert SEAL.opened(TOKEN, ACT).is_current
