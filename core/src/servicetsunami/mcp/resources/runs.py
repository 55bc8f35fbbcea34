"""`run://{run_id}`: how far a run is, or how it ended."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from mcp.types import ReadResourceResult, Resource, ResourceTemplate

from servicetsunami.mcp.resources.family import JSON, as_json, for_both, matching, unknown_resource
from servicetsunami.operations.answers.visible import visible
from servicetsunami.operations.sync import get_run, list_runs
from servicetsunami.sdk import TsunamiError

if TYPE_CHECKING:
    from servicetsunami.operations.app import App
    from servicetsunami.operations.caller import Caller
    from servicetsunami.operations.models import RunView

_URI = re.compile(r"run://(run_[0-9a-f]{1,64})")
_LATEST = 50
_ABOUT = "How far a run is or how it ended, with rows, notes and problem; worth watching while it is running."


class Runs:
    """The runs of a caller."""

    def __init__(self, app: App) -> None:
        self._app = app

    def owns(self, uri: str) -> bool:
        """Tell whether a URI is of this kind."""
        return uri.startswith("run://")

    async def listed(self, caller: Caller) -> Sequence[Resource]:
        """List the latest, the newest first."""
        return [_resource(run) for run in (await list_runs(self._app, caller, limit=_LATEST)).runs]

    def templates(self, caller: Caller) -> Sequence[ResourceTemplate]:
        """List the template."""
        del caller
        return [
            ResourceTemplate(
                uri_template="run://{run_id}", name="run", title="A run", description=_ABOUT, mime_type=JSON
            )
        ]

    async def read(self, caller: Caller, uri: str) -> ReadResourceResult:
        """Read a run."""
        found = _URI.fullmatch(uri)
        if found is None:
            raise unknown_resource()
        try:
            return as_json(uri, await get_run(self._app, caller, found[1]))
        except TsunamiError:
            raise unknown_resource() from None

    async def complete(
        self, caller: Caller, template: str, argument: str, begun: str, others: Mapping[str, str]
    ) -> Sequence[str]:
        """Return the ids of the latest runs."""
        del template, others
        if argument != "run_id":
            return ()
        return matching((run.run_id for run in (await list_runs(self._app, caller, limit=_LATEST)).runs), begun)


def _resource(run: RunView) -> Resource:
    moment = run.finished_at or run.started_at or run.created_at
    return Resource(
        uri=f"run://{run.run_id}",
        name=run.run_id,
        title=f"{run.kind} of {visible(run.table_name or 'several tables')}: {run.status}",
        description=_ABOUT,
        mime_type=JSON,
        annotations=for_both(0.5 if run.status == "succeeded" else 0.7, moment),
    )
