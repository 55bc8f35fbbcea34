"""JSON can escape half of a character, which is no text: nothing behind the host could store it or send it on."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from http_lab import ENVELOPE, Served, post, serving

HALF = "\ud800"


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with serving(Path(tmp_path_factory.mktemp("unicode"))) as server:
        yield server


@pytest.mark.parametrize(
    ("method", "params"),
    [
        ("tools/call", {"name": "get_run", "arguments": {"run_id": HALF}}),
        ("tools/call", {"name": "get_run", "arguments": {HALF: "run"}}),
        ("prompts/get", {"name": "troubleshoot_connection", "arguments": {"connection": HALF}}),
        ("tasks/get", {"taskId": HALF}),
        ("tasks/cancel", {"taskId": HALF}),
    ],
)
def test_half_a_character_is_refused_before_anything_looks_at_it(
    served: Served, method: str, params: dict[str, Any]
) -> None:
    capabilities: dict[str, Any] = {"extensions": {"io.modelcontextprotocol/tasks": {}}}
    meta = {**ENVELOPE, "io.modelcontextprotocol/clientCapabilities": capabilities}
    body = {"jsonrpc": "2.0", "id": 1, "method": method, "params": {"_meta": meta, **params}}

    named = {"mcp_name": str(params["name"])} if "name" in params else {}
    answered = post(served, json.dumps(body), mcp_method=method, **named)

    error = answered.json()["error"]
    assert (error["code"], error["message"]) == (-32602, "Invalid params: text holds half of a character")
    assert "UnicodeEncodeError" not in served.logged()
