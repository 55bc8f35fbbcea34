"""A person hands over a file, and asks about it: by a tool, a link, a page and the command line."""

from __future__ import annotations

import asyncio
import base64
import io
import json
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx2
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from http_lab import AUTHENTICATED, Served, client_of, serving, token
from mcp import Client

from servicetsunami.cli.running import run as run_cli
from servicetsunami.client import ServiceTsunami
from servicetsunami.mcp.stdio import make_host
from servicetsunami.operations.app import App, open_app
from servicetsunami.runtime import load_settings
from servicetsunami.sdk import DataError, NotFound

pytestmark = pytest.mark.anyio
ORDERS = "id,customer,amount\n1,Ada,12.50\n2,Zoë,7.25\n"
MORE = "id,customer,amount\n3,Grace,0.10\n"


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@asynccontextmanager
async def opened(home: Path, **settings: Any) -> AsyncIterator[tuple[App, Client]]:
    async with (
        open_app(load_settings({"home": str(home), **settings}, environ={}, cwd=home)) as app,
        Client(make_host(app)) as client,
    ):
        yield app, client


def encoded(text: str | bytes) -> str:
    return base64.b64encode(text.encode() if isinstance(text, str) else text).decode()


async def upload(client: Client, content: str | bytes | None = ORDERS, **arguments: Any) -> dict[str, Any]:
    given = {"file_name": "orders.csv", "dataset_name": "orders", **arguments}
    if content is not None:
        given["file_content"] = encoded(content)
    result = await client.call_tool("upload_file", given)
    found = dict(result.structured_content or {})
    return found["error"] if result.is_error else found


async def rows(client: Client, sql: str) -> Any:
    result = await client.call_tool("query_sql", {"sql": sql})
    assert not result.is_error, result.content
    return (result.structured_content or {})["rows"]


async def test_an_uploaded_csv_file_can_be_asked_about(tmp_path: Path) -> None:
    async with opened(tmp_path) as (_, client):
        landed = await upload(client)
        found = await rows(client, "select id, customer, amount from bronze.orders order by id")

    assert (landed["status"], landed["rows"], landed["bronze_table"]) == (
        "succeeded",
        2,
        "tenant_default.bronze.orders",
    )
    assert found == [[1, "Ada", "12.50"], [2, "Zoë", "7.25"]]


async def test_a_second_upload_replaces_the_table(tmp_path: Path) -> None:
    async with opened(tmp_path) as (_, client):
        await upload(client)
        await upload(client, MORE, file_name="later.csv")
        found = await rows(client, "select id from bronze.orders")

    assert found == [[3]]


async def test_a_file_that_is_appended_adds_its_rows_once(tmp_path: Path) -> None:
    async with opened(tmp_path) as (_, client):
        await upload(client)
        appended = await upload(client, MORE, mode="append")
        again = await upload(client, MORE, mode="append", file_name="copy.csv")
        found = await rows(client, "select id from bronze.orders order by id")

    assert (appended["status"], again["code"]) == ("succeeded", "already_uploaded")
    assert found == [[1], [2], [3]]


async def test_parquet_lands_with_its_own_types(tmp_path: Path) -> None:
    buffer = io.BytesIO()
    pq.write_table(pa.table({"n": pa.array([1, None], pa.int32()), "t": ["a", "ü"]}), buffer)
    async with opened(tmp_path) as (_, client):
        landed = await upload(client, buffer.getvalue(), file_name="data.parquet", dataset_name="data")
        found = await rows(client, "select n, t from bronze.data order by t")

    assert landed["status"] == "succeeded"
    assert found == [[1, "a"], [None, "ü"]]


@pytest.mark.parametrize(
    ("content", "arguments", "code"),
    [
        (ORDERS, {"file_name": "orders.pdf"}, "format_not_read"),
        (ORDERS, {"file_name": "../"}, "bad_file_name"),
        (ORDERS, {"file_name": ".hidden.csv"}, "bad_file_name"),
        (ORDERS, {"dataset_name": "Or ders"}, "bad_dataset_name"),
        (ORDERS, {"file_name": "orders.xlsx"}, "bad_excel"),
        (b"", {}, "empty_file"),
        (b"a,b\n\xff\xfe\x00,1\n", {}, "bad_encoding"),
        (b"PK\x03\x04canary", {"file_name": "orders.zip"}, "bad_compression"),
    ],
)
async def test_a_file_that_cannot_be_read_changes_nothing(
    content: str | bytes, arguments: dict[str, Any], code: str, tmp_path: Path
) -> None:
    async with opened(tmp_path) as (_, client):
        await upload(client)
        refused = await upload(client, content, **arguments)
        found = await rows(client, "select id from bronze.orders order by id")

    assert refused["code"] == code
    assert refused["fix"]
    assert "canary" not in json.dumps(refused)
    assert found == [[1], [2]]
    assert kept(tmp_path) == ["orders/orders.csv"]


async def test_what_is_not_base64_or_too_large_is_refused(tmp_path: Path) -> None:
    async with opened(tmp_path, max_upload_mb="1") as (_, client):
        garbled = await client.call_tool(
            "upload_file", {"file_name": "a.csv", "dataset_name": "a", "file_content": "canary!"}
        )
        large = await upload(client, b"a\n" + b"1\n" * 600_000)

    assert (garbled.structured_content or {})["error"]["code"] == "bad_base64"
    assert large["code"] == "file_too_large"
    assert kept(tmp_path) == []


async def test_a_name_that_another_source_fills_is_not_taken(tmp_path: Path) -> None:
    async with opened(tmp_path, file_roots=str(tmp_path)) as (_, client):
        (tmp_path / "exports").mkdir()
        (tmp_path / "exports" / "orders.csv").write_text("id\n7\n", encoding="utf-8")
        connected = await client.call_tool(
            "connect_source", {"connector": "files", "name": "mine", "config": {"location": str(tmp_path / "exports")}}
        )
        connection = (connected.structured_content or {})["connection_id"]
        synced = await client.call_tool("sync_to_bronze", {"connection_id": connection, "table_name": "orders"})
        assert (synced.structured_content or {})["status"] == "succeeded"
        refused = await upload(client)
        found = await rows(client, "select id from bronze.orders")

    assert refused["code"] == "table_taken"
    assert "another dataset name" in refused["fix"]
    assert found == [[7]]
    assert kept(tmp_path) == []


async def test_a_format_is_not_mixed_with_another(tmp_path: Path) -> None:
    async with opened(tmp_path) as (_, client):
        await upload(client)
        refused = await upload(client, '[{"id": 9}]', file_name="more.json", mode="append")

    assert refused["code"] == "format_differs"


async def test_a_link_takes_a_large_file_once(tmp_path: Path) -> None:
    async with opened(tmp_path) as (_, client), httpx2.AsyncClient(timeout=60) as web:
        offered = await upload(client, None)
        body = b"id,text\n" + b"".join(b"%d,%s\n" % (number, b"x" * 90) for number in range(60_000))
        sent = await web.put(offered["upload_url"], content=body)
        again = await web.put(offered["upload_url"], content=body)
        found = await rows(client, "select count(*) from bronze.orders")

    assert (offered["status"], sent.status_code, sent.json()["status"]) == ("needs_upload", 200, "succeeded")
    assert (again.status_code, again.json()["error"]["code"]) == (404, "link_expired")
    assert found == [[60_000]]


async def test_a_link_serves_until_a_file_was_taken(tmp_path: Path) -> None:
    async with opened(tmp_path) as (_, client), httpx2.AsyncClient(timeout=60) as web:
        offered = await upload(client, None)
        refused = await web.put(offered["upload_url"], content=b"a,b\n\xff\xfe,1\n")
        sent = await web.put(offered["upload_url"], content=ORDERS.encode())

    assert (refused.status_code, refused.json()["error"]["code"]) == (422, "bad_encoding")
    assert sent.status_code == 200


async def test_a_browser_uploads_by_the_page_behind_the_link(tmp_path: Path) -> None:
    async with opened(tmp_path) as (_, client), httpx2.AsyncClient(timeout=60) as web:
        url = (await upload(client, None))["upload_url"]
        page = await web.get(url)
        foreign = await web.post(url, files={"file": ("x.csv", ORDERS)}, headers={"sec-fetch-site": "cross-site"})
        no_form = await web.post(url, content=b"x", headers={"content-type": "text/plain"})
        done = await web.post(url, files={"file": ("x.csv", ORDERS)}, headers={"sec-fetch-site": "same-origin"})
        found = await rows(client, "select count(*) from bronze.orders")

    assert (page.status_code, foreign.status_code, no_form.status_code, done.status_code) == (200, 403, 422, 200)
    assert re.search("orders.csv.*<button>Upload</button>", page.text)
    assert "frame-ancestors 'none'" in page.headers["content-security-policy"]
    assert "2 rows are in" in done.text
    assert found == [[2]]


@pytest.mark.parametrize("token", ["x", "0" * 200, "é"])
async def test_a_link_that_is_not_ours_leads_nowhere(token: str, tmp_path: Path) -> None:
    async with opened(tmp_path) as (_, client), httpx2.AsyncClient(timeout=60) as web:
        url = (await upload(client, None))["upload_url"]
        base = url.rpartition("/")[0]
        answers = [await web.get(f"{base}/{token}"), await web.put(f"{base}/{token}", content=b"a\n1\n")]

    assert [answer.status_code for answer in answers] == [404, 404]


async def test_a_read_only_server_has_no_such_tool(tmp_path: Path) -> None:
    async with opened(tmp_path, read_only="true") as (_, client):
        tools = {tool.name for tool in (await client.list_tools()).tools}

    assert "upload_file" not in tools


def test_the_command_line_uploads_too(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "März 2024.csv"
    file.write_text(ORDERS, encoding="utf-8")
    home = ["--home", str(tmp_path / "home")]

    code = run_cli([*home, "upload", str(file), "--as", "march", "--json"])
    landed = json.loads(capsys.readouterr().out)
    missing = run_cli([*home, "upload", str(tmp_path / "no.csv"), "--as", "march"])

    assert (code, landed["status"], landed["bronze_table"]) == (0, "succeeded", "tenant_default.bronze.march")
    assert missing != 0
    assert "file_not_read" in capsys.readouterr().err


def kept(home: Path) -> list[str]:
    root = home / "uploads" / "default" / "@uploads"
    return sorted(str(path.relative_to(root)) for path in root.rglob("*") if path.is_file())


def test_tenants_upload_under_one_name_and_share_nothing(tmp_path: Path) -> None:
    async def job(served: Served, tenant: str, other: str, content: str) -> Any:
        async with client_of(served.url, token(tenant)) as client, httpx2.AsyncClient(timeout=60) as web:
            await upload(client, content)
            url = (await upload(client, None, dataset_name="sent"))["upload_url"]
            sent = await web.put(url, content=content.encode())
            refused = await upload(client, ORDERS, tenant_id=other)
            tables = [await rows(client, f"select id from bronze.{name} order by id") for name in ("orders", "sent")]
            return sent.status_code, refused["code"], tables

    settings = {**AUTHENTICATED, "TSUNAMI_MCP_WORKERS": "2"}
    with serving(tmp_path, "acme", "globex", settings=settings) as served:
        acme = asyncio.run(job(served, "acme", "globex", "id\n1\n"))
        globex = asyncio.run(job(served, "globex", "acme", "id\n2\n3\n"))

    assert acme == (200, globex[1], [[[1]], [[1]]])
    assert globex == (200, acme[1], [[[2], [3]], [[2], [3]]])


def test_the_python_client_uploads_by_a_link(tmp_path: Path) -> None:
    file = tmp_path / "orders.csv"
    file.write_text(ORDERS, encoding="utf-8")
    settings = {**AUTHENTICATED}
    with (
        serving(tmp_path, "acme", settings=settings) as served,
        ServiceTsunami(served.url, token=token("acme")) as lake,
    ):
        run = lake.upload(file, "orders")
        found = list(lake.rows("select id from bronze.orders order by id"))
        file.write_bytes(b"a,b\n\xff,1\n")
        with pytest.raises(DataError) as refused:
            lake.upload(file, "orders")
        with pytest.raises(NotFound) as missing:
            lake.upload(tmp_path / "no.csv", "orders")

    assert (run.status, run.rows, found) == ("succeeded", 2, [(1,), (2,)])
    assert (refused.value.code, missing.value.code) == ("bad_encoding", "file_not_read")
