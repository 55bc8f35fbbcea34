"""Installing this server into a client, and taking it out: files, or the client's own command."""

from __future__ import annotations

import difflib
import json
import shlex
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from pydantic import BaseModel, ConfigDict

from servicetsunami.cli.installing import claude
from servicetsunami.cli.installing.clients import (
    Machine,
    McpClient,
    file_of,
    path_to_section,
    written,
)
from servicetsunami.cli.installing.document import Document
from servicetsunami.cli.installing.entry import command_entry, shown, updated, url_entry
from servicetsunami.cli.installing.files import read_text, replace_text
from servicetsunami.sdk import ConfigError, NotFound

if TYPE_CHECKING:
    from servicetsunami.runtime import LoadedSettings
    from servicetsunami.sdk import Json

_HEADS = ("---", "+++")
Status = Literal["installed", "updated", "unchanged", "removed", "absent", "planned", "printed"]


class ClientResult(BaseModel):
    """What was done to a client's configuration, or would be."""

    model_config = ConfigDict(frozen=True)

    client: str
    name: str
    scope: str
    status: Status
    file: str
    backup: str | None = None
    """Where the file is kept as it was."""
    snippet: str | None = None
    """What to paste or run, where that was asked for."""
    changes: tuple[str, ...] = ()
    """The change as lines of a diff; what others put there is masked."""
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Place:
    """One server in one client."""

    client: McpClient
    scope: str
    name: str
    machine: Machine

    @property
    def file(self) -> Path:
        """The file that holds it."""
        return file_of(self.client, self.scope, self.machine)

    @property
    def path(self) -> tuple[str, ...]:
        """The members that lead to it in that file."""
        return (*path_to_section(self.client, self.scope, self.machine), self.name)

    @property
    def by_command(self) -> bool:
        """Whether the file is the client's own, which only its command should make or remove entries."""
        return self.client.name == "claude-code" and self.scope != "project"

    def result(self, status: Status) -> ClientResult:
        """Return what was done here."""
        return ClientResult(
            client=self.client.name, name=self.name, scope=self.scope, status=status, file=str(self.file)
        )


def entry_for(place: Place, loaded: LoadedSettings, url: str | None) -> Json:
    """Return what the client is told; raises `ConfigError` if it cannot be told an address."""
    if url is None:
        return command_entry(loaded)
    if place.client.takes_urls:
        return url_entry(url)
    raise ConfigError(
        f"{place.client.title} takes no address from its file, so nothing was done",
        code="client_takes_no_url",
        field="url",
        fix="add the address in its settings, under Connectors; or leave --url out to start the server on this machine",
    )


def printed(place: Place, entry: Json) -> ClientResult:
    """Return what a person would paste or run."""
    new = written(place.client, entry)
    if place.by_command:
        joined = subprocess.list2cmdline if place.machine.platform == "win32" else shlex.join
        snippet = joined(["claude", *claude.adding(place.name, place.scope, new)])
    else:
        snippet = json.dumps({place.client.section: {place.name: new}}, indent=2, ensure_ascii=False)
    return place.result("printed").model_copy(update={"snippet": snippet})


def install(place: Place, entry: Json, *, dry_run: bool = False) -> ClientResult:
    """Write the server into the client's configuration; the second time nothing is done."""
    text = read_text(place.file)
    document = Document(text or "", str(place.file))
    old = document.get(place.path)
    new = updated(old, written(place.client, entry))
    if old == new or _same(old, new):
        return place.result("unchanged")
    changes = _changes(old, new)
    if dry_run:
        return place.result("planned").model_copy(update={"changes": changes})
    # An entry that is there may hold secrets that somebody added: on a command line others could read them.
    if place.by_command and old is None:
        _through_claude(place, new)
        backup = None
    else:
        backup = replace_text(place.file, text, document.with_member(place.path, new))
    return _done(place, "installed" if old is None else "updated", backup, changes)


def uninstall(place: Place, *, dry_run: bool = False) -> ClientResult:
    """Take the server out of the client's configuration; raises `NotFound` if it is not in there."""
    text = read_text(place.file)
    document = Document(text or "", str(place.file))
    old = document.get(place.path)
    if old is None or text is None:
        raise NotFound(
            f"{place.client.title} has no server '{place.name}' in its scope '{place.scope}'",
            code="server_not_installed",
            field="name",
            fix=f"look into {place.file}; --name and --scope say which one is meant",
        )
    changes = _changes(old, None)
    if dry_run:
        return place.result("planned").model_copy(update={"changes": changes})
    if place.by_command:
        claude.run(_claude_or_refuse(place), claude.removing(place.name, place.scope), place.machine)
        backup = None
    else:
        backup = replace_text(place.file, text, document.without_member(place.path))
    return _done(place, "removed", backup, changes)


def noted(result: ClientResult, *notes: str) -> ClientResult:
    """Return a result with what a person should know besides."""
    return result.model_copy(update={"notes": (*result.notes, *notes)})


def _done(place: Place, status: Status, backup: Path | None, changes: tuple[str, ...]) -> ClientResult:
    result = place.result(status)
    return result.model_copy(update={"backup": str(backup) if backup else None, "changes": changes})


def _through_claude(place: Place, new: Json) -> None:
    claude.run(_claude_or_refuse(place), claude.adding(place.name, place.scope, new), place.machine)
    # The command ends with 0 whatever happens, so its file is asked.
    document = Document(read_text(place.file) or "", str(place.file))
    if not _same(document.get(place.path), new):
        raise claude.refused(f"{place.file} does not hold the server afterwards")


def _claude_or_refuse(place: Place) -> str:
    program = shutil.which("claude", path=place.machine.environ.get("PATH"))
    if program is not None:
        return program
    raise ConfigError(
        f"the program claude is not on the PATH, and only it should change {place.file}",
        code="claude_not_found",
        fix="install Claude Code, or use --scope project, which writes .mcp.json here, or --print the command",
    )


def _same(old: object, new: Json) -> bool:
    """Compare two entries; an empty `env` is as good as none."""
    if not isinstance(old, dict):
        return False
    return {**old, "env": old.get("env") or {}} == {**new, "env": new.get("env") or {}}


def _changes(old: object, new: object) -> tuple[str, ...]:
    before, after = (
        [] if value is None else json.dumps(shown(value), indent=2, ensure_ascii=False).split("\n")
        for value in (old, new)
    )
    return tuple(line for line in difflib.unified_diff(before, after, lineterm="", n=100) if line[:3] not in _HEADS)
