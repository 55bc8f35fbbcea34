"""Notebooks in the tenant's warehouse."""

from __future__ import annotations

import re
import threading
from collections.abc import Sequence
from contextlib import closing
from typing import TYPE_CHECKING

from pydantic import Field

from servicetsunami.operations.models import Result
from servicetsunami.operations.read_only import changing
from servicetsunami.operations.threads import in_thread
from servicetsunami.sdk import ConfigError, NotebookLanguage, NotebookPlace, Notebooks

if TYPE_CHECKING:
    from servicetsunami.operations.app import App
    from servicetsunami.operations.caller import Caller

_NAME = re.compile(r"[\w][\w \-]{0,99}", re.ASCII)
_PARTED = {"sql": "\n\n-- COMMAND ----------\n\n", "python": "\n\n# COMMAND ----------\n\n"}
_FIRST = {"sql": "-- Databricks notebook source\n", "python": "# Databricks notebook source\n"}
_LONGEST = 1_000_000


class NotebookResult(Result):
    """A notebook that was kept."""

    path: str = Field(description="Where it lies in the workspace.")
    url: str = Field(description="Where to open it.")
    cells: int


@changing("no notebook was created")
async def create_notebook(
    app: App, caller: Caller, name: str, cells: Sequence[str], *, language: NotebookLanguage = "sql"
) -> NotebookResult:
    """Keep a notebook of these cells in the tenant's folder of the workspace; nothing of it is run.

    Raises `ConfigError`: `bad_notebook_name`, `notebook_too_large`, `notebook_taken` where one has the name, and
    `notebooks_unsupported` where the sink keeps none.
    """
    if not _NAME.fullmatch(name):
        raise ConfigError(
            "a notebook needs a name of letters, digits, spaces, _ and -, at most 100 characters",
            code="bad_notebook_name",
            field="notebook_name",
            fix="choose a name such as monthly signups",
        )
    source = _FIRST[language] + _PARTED[language].join(cell.strip("\n") for cell in cells) + "\n"
    if len(source) > _LONGEST:
        found = f"the notebook has more than {_LONGEST:,} characters"
        raise ConfigError(found, code="notebook_too_large", field="cells", fix="split it")

    def work(cancel: threading.Event) -> NotebookPlace:
        with closing(app.open_sink(caller.tenant, cancel)) as sink:
            if not isinstance(sink, Notebooks):
                raise ConfigError(
                    f"the sink '{sink.name}' keeps no notebooks",
                    code="notebooks_unsupported",
                    fix="choose a sink that does, such as databricks",
                )
            return sink.create_notebook(name, language, source)

    place = await in_thread(work)
    return NotebookResult(path=place.path, url=place.url, cells=len(cells))
