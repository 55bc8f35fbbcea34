"""The clients that can be set up: where each keeps its servers, and how it writes one down."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from servicetsunami.sdk import ConfigError, nearest

if TYPE_CHECKING:
    from servicetsunami.sdk import Json


@dataclass(frozen=True)
class McpClient:
    """A program that servers are set up in."""

    name: str
    title: str
    section: str
    """The member of its file that holds the servers."""
    scopes: tuple[str, ...]
    """Where a server may be set up; the first is the default."""
    typed: bool
    """Whether an entry says how the server is reached."""
    takes_urls: bool = True
    again: str = ""
    """What makes it read its file again."""


CLIENTS: Mapping[str, McpClient] = {
    client.name: client
    for client in (
        McpClient(
            "claude-code",
            "Claude Code",
            "mcpServers",
            ("user", "project", "local"),
            typed=True,
            again="start a new session, and say /mcp to see the server",
        ),
        McpClient(
            "claude-desktop",
            "Claude Desktop",
            "mcpServers",
            ("user",),
            typed=False,
            takes_urls=False,
            again="quit Claude Desktop and open it again",
        ),
        McpClient(
            "cursor",
            "Cursor",
            "mcpServers",
            ("user", "project"),
            typed=False,
            again="switch the server on in Cursor's settings, under MCP",
        ),
        McpClient(
            "vscode",
            "VS Code",
            "servers",
            ("user", "project"),
            typed=True,
            again="start the server: MCP: List Servers in the command palette",
        ),
    )
}


@dataclass(frozen=True)
class Machine:
    """What decides where files lie."""

    platform: str
    home: Path
    environ: Mapping[str, str]
    folder: Path
    """Where the command runs; for the scope `project`."""

    @classmethod
    def here(cls) -> Machine:
        """Return this one."""
        import os

        return cls(sys.platform, Path.home(), os.environ, Path.cwd())

    @property
    def repository(self) -> Path:
        """The folder by which Claude Code knows a project: that of its repository, if it has one."""
        return next((one for one in (self.folder, *self.folder.parents) if (one / ".git").exists()), self.folder)

    @property
    def applications(self) -> Path:
        """The folder in which programs with windows keep their settings."""
        if self.platform == "darwin":
            return self.home / "Library/Application Support"
        if self.platform == "win32":
            return Path(self.environ.get("APPDATA") or self.home / "AppData/Roaming")
        return Path(self.environ.get("XDG_CONFIG_HOME") or self.home / ".config")


def client_of(name: str) -> McpClient:
    """Return a client by name; raises `ConfigError` with the nearest names."""
    if name in CLIENTS:
        return CLIENTS[name]
    raise ConfigError(
        f"'{name}' is no client that can be set up, so nothing was done",
        code="client_unknown",
        field="client",
        fix=f"name one of {', '.join(CLIENTS)}; any other client takes the command `tsunami serve`",
        did_you_mean=nearest(name, CLIENTS),
    )


def scope_of(client: McpClient, scope: str | None) -> str:
    """Return the scope to use; raises `ConfigError` for one that the client does not have."""
    if scope is None:
        return client.scopes[0]
    if scope in client.scopes:
        return scope
    raise ConfigError(
        f"{client.title} has no scope '{scope}', so nothing was done",
        code="scope_unknown",
        field="scope",
        fix=f"use {' or '.join(client.scopes)}, or leave --scope out",
        did_you_mean=nearest(scope, client.scopes),
    )


def file_of(client: McpClient, scope: str, machine: Machine) -> Path:
    """Return the file in which a client keeps the servers of a scope."""
    if client.name == "claude-code":
        return machine.folder / ".mcp.json" if scope == "project" else _claude_code(machine)
    if client.name == "claude-desktop":
        return machine.applications / "Claude/claude_desktop_config.json"
    if client.name == "cursor":
        return (machine.folder if scope == "project" else machine.home) / ".cursor/mcp.json"
    return machine.folder / ".vscode/mcp.json" if scope == "project" else machine.applications / "Code/User/mcp.json"


def path_to_section(client: McpClient, scope: str, machine: Machine) -> tuple[str, ...]:
    """Return the members that lead to the servers in the file of a scope."""
    return ("projects", str(machine.repository), client.section) if scope == "local" else (client.section,)


def written(client: McpClient, entry: Json) -> Json:
    """Return an entry as the client writes it."""
    kind = "http" if "url" in entry else "stdio"
    return {"type": kind, **entry} if client.typed else entry


def _claude_code(machine: Machine) -> Path:
    return Path(machine.environ.get("CLAUDE_CONFIG_DIR") or machine.home) / ".claude.json"
