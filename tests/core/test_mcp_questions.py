"""Nobody waits for a person for ever."""

from __future__ import annotations

import anyio
import pytest
from mcp.types import ElicitResult

from servicetsunami.mcp.asking import Questions

pytestmark = pytest.mark.anyio


async def test_an_answer_is_passed_on() -> None:
    async def agreed() -> ElicitResult:
        return ElicitResult(action="accept")

    assert (await Questions().answer(agreed())).action == "accept"


async def test_a_question_that_waits_when_the_server_stops_counts_as_unanswered() -> None:
    questions, asked = Questions(), anyio.Event()
    answers: list[ElicitResult] = []

    async def never() -> ElicitResult:
        asked.set()
        await anyio.sleep_forever()
        raise AssertionError

    async def ask() -> None:
        answers.append(await questions.answer(never()))

    with anyio.fail_after(10):
        async with anyio.create_task_group() as group:
            group.start_soon(ask)
            await asked.wait()
            questions.end()

    assert [answer.action for answer in answers] == ["cancel"]
