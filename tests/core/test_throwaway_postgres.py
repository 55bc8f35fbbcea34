"""The throw-away server starts, asks for its password, and leaves nothing behind."""

import asyncio
from pathlib import Path

import asyncpg
import pytest

from servicetsunami.cli.throwaway_postgres import ThrowawayServer, throwaway_postgres
from servicetsunami.sdk import PermanentError


async def _ask(server: ThrowawayServer, sql: str, password: str) -> object:
    connection = await asyncpg.connect(
        host=server.host, port=server.port, user=server.user, password=password, database=server.database
    )
    try:
        return await connection.fetchval(sql)
    finally:
        await connection.close()


def _gone(server: ThrowawayServer) -> bool:
    return not server.directory.exists() and not Path(f"/proc/{server.process_id}").exists()


@pytest.mark.server
def test_a_server_answers_over_tcp_with_its_password_and_is_gone_afterwards() -> None:
    with throwaway_postgres(settings={"max_connections": "17"}) as server:
        answer = asyncio.run(_ask(server, "SHOW max_connections", server.password))

        with pytest.raises(asyncpg.InvalidPasswordError):
            asyncio.run(_ask(server, "SELECT 1", "another"))

    assert answer == "17"
    assert _gone(server)


@pytest.mark.server
def test_a_server_is_gone_after_an_interruption() -> None:
    with pytest.raises(KeyboardInterrupt), throwaway_postgres() as server:
        raise KeyboardInterrupt

    assert _gone(server)


@pytest.mark.server
def test_a_server_that_cannot_start_says_why() -> None:
    with (
        pytest.raises(PermanentError) as refused,
        throwaway_postgres(settings={"max_connections": "none"}),
    ):
        pass

    assert refused.value.code == "server_not_started"
    assert "max_connections" in str(refused.value.why)
