"""Notebooks, in the tenant's folder of the workspace."""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING

from servicetsunami.sdk import ConfigError, NotebookLanguage, NotebookPlace
from servicetsunami_sink_databricks.failures import on_databricks

if TYPE_CHECKING:
    from databricks.sdk import WorkspaceClient


def create(client: WorkspaceClient, folder: str, name: str, language: NotebookLanguage, source: str) -> NotebookPlace:
    """Keep a notebook; one that has the name stays as it is."""
    from databricks.sdk.errors.base import DatabricksError
    from databricks.sdk.service.workspace import ImportFormat, Language

    path = f"{folder}/{name}"
    kind = Language.SQL if language == "sql" else Language.PYTHON
    content = base64.b64encode(source.encode()).decode()
    with on_databricks("creating a notebook"):
        client.workspace.mkdirs(folder)
        try:
            client.workspace.import_(path, content=content, format=ImportFormat.SOURCE, language=kind)
        except DatabricksError as error:
            if error.error_code != "RESOURCE_ALREADY_EXISTS":
                raise
            raise ConfigError(
                f"there is a notebook {path} already",
                code="notebook_taken",
                field="notebook_name",
                fix="choose another name",
            ) from None
        number = client.workspace.get_status(path).object_id
    return NotebookPlace(path, f"{client.config.host}/#notebook/{number}")
