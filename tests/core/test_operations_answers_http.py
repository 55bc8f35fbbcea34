"""Over HTTP a whole result is fetched by a link, once and without a token; pages and resources stay within a tenant."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import httpx2
import pytest
from http_lab import AUTHENTICATED, Served, client_of, serving, token
from mcp import Client, MCPError

pytestmark = [pytest.mark.anyio, pytest.mark.xdist_group("answers_http")]
LONG = "SELECT explode(sequence(1, 500)) AS n"


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    settings = {**AUTHENTICATED, "TSUNAMI_MCP_WORKERS": "2"}
    with serving(tmp_path_factory.mktemp("http"), "acme", "globex", settings=settings) as found:
        yield found


async def _asked(client: Client, **arguments: Any) -> dict[str, Any]:
    found = (await client.call_tool("query_sql", arguments)).structured_content
    assert isinstance(found, dict)
    return found


def _fetched(url: str) -> tuple[int, str, str]:
    answer = httpx2.get(url, trust_env=False)
    return answer.status_code, answer.headers["content-type"], answer.text


async def test_a_link_is_followed_once_by_whoever_has_it(served: Served) -> None:
    async with client_of(served.url, token()) as client:
        file = (await _asked(client, sql="SELECT 1 AS one", save_as="csv"))["export"]

    first, second = _fetched(file["url"]), _fetched(file["url"])

    assert file["url"].startswith(f"{served.origin}/results/")
    assert "path" not in file
    assert first == (200, "text/csv; charset=utf-8", "one\n1\n")
    assert second[0] == 404
    assert file["url"].rpartition("/")[2] not in served.logged()


async def test_another_tenant_gets_neither_pages_nor_rows(served: Served) -> None:
    async with client_of(served.url, token("acme")) as acme, client_of(served.url, token("globex")) as globex:
        first = await _asked(acme, sql=LONG)
        again = await _asked(acme, sql=LONG, cursor=first["next_cursor"])
        refused = await _asked(globex, sql=LONG, cursor=first["next_cursor"])
        invented = await _asked(globex, sql=LONG, cursor="x" * len(first["next_cursor"]))
        uri = f"query-result://{first['result_id']}"
        rows = (await acme.read_resource(uri)).contents[0]
        with pytest.raises(MCPError, match="not found"):
            await globex.read_resource(uri)

    assert again["rows"][0] == [201]
    assert refused == invented
    assert refused["error"]["code"] == "bad_cursor"
    assert getattr(rows, "text", "").startswith("n\n1\n2\n")


@pytest.mark.parametrize("name", ["x", "A" * 60, "%2e%2e%2frecords.db"])
def test_a_link_that_was_never_made_leads_nowhere(served: Served, name: str) -> None:
    assert _fetched(f"{served.origin}/results/{name}")[0] == 404
