"""What the official Inspector says of the product's server."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest
from protocol_inspector import ERAS, TRANSPORTS, Target, target

pytestmark = pytest.mark.server
CALLS = 40
PROMPTS = {"analyze_schema", "connect_source", "explain_failed_run", "explore_source", "generate_query"}
RESOURCES = {"guide://start", "connector://postgres"}
TEMPLATES = {"connector", "datasource", "query-result", "run", "table"}


@pytest.fixture(scope="module", params=TRANSPORTS)
def server(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Target]:
    with target(request.param, tmp_path_factory.mktemp(request.param)) as inspected:
        yield inspected


@pytest.mark.parametrize("era", ERAS)
def test_every_schema_is_one_that_any_client_takes(server: Target, era: str) -> None:
    done = server.inspect(era, "--method", "tools/list", "--strict")

    assert (done.returncode, [line for line in done.stderr.splitlines() if "tool " in line]) == (0, [])
    assert '"query_sql"' in done.stdout


@pytest.mark.parametrize("era", ERAS)
def test_many_calls_at_once_are_all_answered(server: Target, era: str) -> None:
    told = server.load(era, "list_connections", {}, CALLS)

    assert (told["ok"], told["errors"], told["toolErrors"]) == (CALLS, 0, 0)
    assert told["latencyMs"]["p50"] > 0


@pytest.mark.parametrize("era", ERAS)
@pytest.mark.parametrize("server", ["http"], indirect=True)
def test_prompts_and_resources_are_listed(server: Target, era: str) -> None:
    prompts = {one["name"]: one["description"] for one in server.ask(era, "prompts/list")["prompts"]}
    resources = {one["uri"] for one in server.ask(era, "resources/list")["resources"]}
    templates = server.ask(era, "resources/templates/list")["resourceTemplates"]

    assert prompts.keys() >= PROMPTS
    assert all(prompts.values())
    assert resources >= RESOURCES
    assert {one["uriTemplate"].partition(":")[0] for one in templates} >= TEMPLATES


@pytest.mark.parametrize("era", ERAS)
@pytest.mark.parametrize("server", ["stdio"], indirect=True)
def test_the_pages_of_tools_are_found_and_ask_for_nothing(server: Target, era: str) -> None:
    done = server.inspect(era, "--method", "tools/list", "--app-info")
    told = [json.loads(line) for line in done.stdout.splitlines()]

    pages = {one["toolName"]: one["resourceUri"] for one in told if one["hasApp"]}
    run, table = "ui://servicetsunami/run", "ui://servicetsunami/table"
    assert pages == dict.fromkeys(("sync_to_bronze", "get_run", "cancel_run"), run) | {"describe_table": table}
    for one in told:
        if one["hasApp"]:
            assert (one["resourceMimeType"], one["csp"]) == ("text/html;profile=mcp-app", {})
            assert "permissions" not in one
