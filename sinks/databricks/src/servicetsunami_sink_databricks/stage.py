"""The stage: a managed volume that files of loads lie in until they are in their table."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from secrets import token_hex
from typing import TYPE_CHECKING

from servicetsunami.sdk import NotFound, TsunamiError
from servicetsunami_sink_databricks.failures import on_databricks

if TYPE_CHECKING:
    from databricks.sdk import WorkspaceClient

_TIME = "%Y%m%dT%H%M%SZ"


def new_load_id() -> str:
    """Name a load: when it began, so that what it leaves can be told old, and something of its own."""
    return f"{datetime.now(UTC).strftime(_TIME)}-{token_hex(8)}"


class Stage:
    """Folders of loads; the client is made when it is first needed, for that asks the workspace."""

    def __init__(self, client: Callable[[], WorkspaceClient]) -> None:
        self._client = client

    def upload(self, local: Path, target: str) -> None:
        """Put a file in its place; once more, it puts the same there."""
        with on_databricks("uploading rows"), local.open("rb") as data:
            self._client().files.upload(target, data, overwrite=True)

    def download(self, source: str, local: Path) -> None:
        """Fetch a file."""
        with on_databricks("reading staged rows"):
            contents = self._client().files.download(source).contents
            if contents is None:
                raise NotFound("a staged file is not there", code="stage_lost")
            with local.open("wb") as file:
                while chunk := contents.read(1024 * 1024):
                    file.write(chunk)

    def names(self, folder: str) -> list[str]:
        """Return the names in a folder, none where it is not there."""
        with suppress(NotFound), on_databricks("listing the stage"):
            return sorted(str(one.name) for one in self._client().files.list_directory_contents(folder))
        return []

    def remove(self, folder: str) -> None:
        """Remove a folder of a load with its files; what is gone already is no fault."""
        for name in self.names(folder):
            with suppress(NotFound), on_databricks("clearing the stage"):
                self._client().files.delete(f"{folder}/{name}")
        with suppress(NotFound), on_databricks("clearing the stage"):
            self._client().files.delete_directory(folder)

    def remove_quietly(self, folder: str) -> None:
        """Remove a folder if it can be done now; what stays is swept later."""
        with suppress(TsunamiError):
            self.remove(folder)

    def remove_all(self, folder: str) -> None:
        """Remove a folder of loads; what cannot be removed now is swept later."""
        for name in self.names(folder):
            self.remove_quietly(f"{folder}/{name}")
        self.remove_quietly(folder)

    def sweep(self, folder: str, *, done: set[str], needed: set[str], hours: float) -> None:
        """Remove what a table's loads left that are `done`, or died more than `hours` ago; what is `needed` stays."""
        oldest = datetime.now(UTC) - timedelta(hours=hours)
        for loads in self.names(folder):
            for name in self.names(f"{folder}/{loads}"):
                if name not in needed and (name in done or _began(name) < oldest):
                    self.remove_quietly(f"{folder}/{loads}/{name}")


def _began(load_id: str) -> datetime:
    """Return when a load began; a folder with another name is no load of ours, and new for ever."""
    try:
        return datetime.strptime(load_id.partition("-")[0], _TIME).replace(tzinfo=UTC)
    except ValueError:
        return datetime.max.replace(tzinfo=UTC)
