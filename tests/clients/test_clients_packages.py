"""What clients install is up to date, valid, and starts the server."""

from __future__ import annotations

import base64
import json
import re
import subprocess
import sys
from importlib import import_module
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

import pytest
from protocol_node import environment, need, run

from servicetsunami.client import ServiceTsunami

# It ships no type information.
jsonschema: Any = import_module("jsonschema")

ROOT = Path(__file__).resolve().parents[2]
CLIENTS = ROOT / "clients"
SKILLS = sorted((CLIENTS / "claude-code/skills").glob("*/SKILL.md"))
REGISTRY_SCHEMA = {
    # What version 2025-12-11 of the registry's schema says of the members that we use, and no others.
    "type": "object",
    "additionalProperties": False,
    "required": ["$schema", "name", "title", "description", "version", "packages"],
    "properties": {
        "$schema": {"const": "https://static.modelcontextprotocol.io/schemas/2025-12-11/server.schema.json"},
        "name": {"pattern": "^[a-zA-Z0-9.-]+/[a-zA-Z0-9._-]+$", "minLength": 3, "maxLength": 200},
        "title": {"type": "string", "minLength": 1, "maxLength": 100},
        "description": {"type": "string", "minLength": 1, "maxLength": 100},
        "version": {"pattern": r"^\d+\.\d+\.\d+$"},
        "packages": {"type": "array", "minItems": 1, "items": {"$ref": "#/$defs/package"}},
    },
    "$defs": {
        "package": {
            "type": "object",
            "additionalProperties": False,
            "required": ["registryType", "identifier", "version", "transport"],
            "properties": {
                "registryType": {"const": "pypi"},
                "identifier": {"type": "string"},
                "version": {"pattern": r"^\d+\.\d+\.\d+$"},
                "runtimeHint": {"const": "uvx"},
                "runtimeArguments": {"items": {"required": ["type", "name", "value"]}},
                "packageArguments": {"items": {"required": ["type", "value"]}},
                "transport": {"const": {"type": "stdio"}},
            },
        }
    },
}


def load(path: str) -> Any:
    return json.loads((ROOT / path).read_text(encoding="utf-8"))


def test_the_generated_files_are_up_to_date() -> None:
    command = [sys.executable, "clients/generate.py", "--check"]

    checked = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=120)

    assert checked.returncode == 0, checked.stderr


def test_the_registry_entry_fits_the_schema() -> None:
    jsonschema.validate(load("clients/server.json"), REGISTRY_SCHEMA)


def test_the_package_says_which_entry_of_the_registry_is_its_own() -> None:
    readme = (ROOT / "core/README.md").read_text(encoding="utf-8")

    assert f"mcp-name: {load('clients/server.json')['name']}" in readme


def test_the_bundle_fits_the_schema_of_its_makers(tmp_path: Path) -> None:
    program = need("mcpb") / "@anthropic-ai/mcpb/dist/cli/cli.js"

    checked = run(program, "validate", f"{CLIENTS}/mcpb/manifest.json", timeout=60, environment=environment(tmp_path))

    assert checked.returncode == 0, checked.stdout + checked.stderr


@pytest.mark.parametrize("path", [".", "clients/claude-code"], ids=["marketplace", "plugin"])
def test_the_plugin_fits_the_schema_of_its_makers(path: str, tmp_path: Path) -> None:
    program = next(need("claude").glob("@anthropic-ai/claude-code-*/claude"))

    checked = subprocess.run(
        [program, "plugin", "validate", "--strict", path],
        cwd=ROOT,
        env=environment(tmp_path, DISABLE_AUTOUPDATER="1"),
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )

    assert checked.returncode == 0, checked.stdout + checked.stderr


def test_the_bundle_starts_the_server_with_what_people_chose(tmp_path: Path) -> None:
    manifest = load("clients/mcpb/manifest.json")
    defaults = {name: option["default"] for name, option in manifest["user_config"].items()}
    server = manifest["server"]
    folder = str(CLIENTS / "mcpb")
    start = server["mcp_config"]["args"].index(server["entry_point"])
    arguments = [_filled(argument, {**defaults, "read_only": True}) for argument in server["mcp_config"]["args"]]

    command = [sys.executable, f"{folder}/{arguments[start]}", *arguments[start + 1 :]]
    with ServiceTsunami(command=command, env={"TSUNAMI_HOME": str(tmp_path / "home")}) as lake:
        tools = lake.tools()

    assert "query_sql" in tools
    assert "sync_to_bronze" not in tools


def test_what_the_bundle_needs_has_a_default_and_no_secret() -> None:
    options = load("clients/mcpb/manifest.json")["user_config"].values()

    assert all("default" in option and not option.get("sensitive") for option in options)


@pytest.mark.parametrize("skill", SKILLS, ids=lambda path: path.parent.name)
def test_a_skill_names_tools_that_there_are(skill: Path) -> None:
    text = skill.read_text(encoding="utf-8")
    tools = {tool["name"] for tool in load("clients/mcpb/manifest.json")["tools"]}

    called = set(re.findall(r"(?:Call|call|ask|or) `([a-z_]+)`", text))

    assert called
    assert called <= tools


@pytest.mark.parametrize("skill", SKILLS, ids=lambda path: path.parent.name)
def test_a_skill_says_when_it_is_for(skill: Path) -> None:
    _, front, _ = skill.read_text(encoding="utf-8").split("---\n", 2)

    members = dict(line.split(": ", 1) for line in front.splitlines())

    assert members["name"] == skill.parent.name
    assert "Use when" in members["description"]
    assert len(members["description"]) <= 1024


def test_every_link_holds_the_command_of_the_plugin() -> None:
    page = (CLIENTS / "links.md").read_text(encoding="utf-8")
    entry = load("clients/claude-code/.claude-plugin/plugin.json")["mcpServers"]["lakehouse"]

    links = [line for line in page.splitlines() if "://" in line or line.startswith(("vscode:", "code "))]

    assert [{"command": found["command"], "args": found["args"]} for found in map(_config, links)] == [entry] * 5


def _config(link: str) -> Any:
    if link.startswith("code "):
        return json.loads(link.partition("'")[2].rstrip("'"))
    if link.startswith("vscode:"):
        return json.loads(unquote(link.partition("?")[2]))
    config = parse_qs(urlsplit(link).query)["config"][0]
    return json.loads(config if config.startswith("{") else base64.b64decode(config))


def _filled(argument: str, options: dict[str, Any]) -> str:
    for name, value in options.items():
        argument = argument.replace(f"${{user_config.{name}}}", str(value).lower())
    return argument
