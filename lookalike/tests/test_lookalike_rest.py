"""The SDK, as it comes, over REST."""

from __future__ import annotations

import base64
import io
import os
from collections.abc import Callable
from typing import Any

import pytest
import requests
from databricks.sdk import WorkspaceClient
from databricks.sdk.errors import NotFound, PermissionDenied, Unauthenticated
from databricks.sdk.errors.base import DatabricksError
from databricks.sdk.service.catalog import PermissionsChange, Privilege
from databricks.sdk.service.sql import Disposition, StatementState
from databricks.sdk.service.workspace import ImportFormat, Language

from servicetsunami_lookalike import Fault, Lookalike

Run = Callable[..., list[dict[str, Any]]]
MIB = 1024 * 1024


def content(workspace: WorkspaceClient, path: str) -> bytes:
    found = workspace.files.download(path).contents
    assert found is not None
    return found.read()


@pytest.mark.parametrize("size", [0, 5, 3 * MIB, 51 * MIB], ids=["empty", "small", "large", "in parts"])
def test_a_file_comes_back_as_it_went(workspace: WorkspaceClient, catalog: str, size: int) -> None:
    data = os.urandom(size)
    path = f"/Volumes/{catalog}/s/v/folder/é.bin"
    workspace.files.upload(path, io.BytesIO(data), overwrite=True)

    assert workspace.files.get_metadata(path).content_length == size
    assert content(workspace, path) == data
    with pytest.raises(DatabricksError, match="already exists"):
        workspace.files.upload(path, io.BytesIO(b"x"), overwrite=False)


def test_folders_are_listed_and_removed(workspace: WorkspaceClient, catalog: str) -> None:
    volume = f"/Volumes/{catalog}/s/v"
    workspace.files.create_directory(f"{volume}/a/b")
    workspace.files.upload(f"{volume}/a/x", io.BytesIO(b"x"))
    found = [
        (one.name, one.is_directory, one.file_size) for one in workspace.files.list_directory_contents(f"{volume}/a")
    ]

    assert found == [("b", True, None), ("x", False, 1)]
    with pytest.raises(DatabricksError, match="not empty"):
        workspace.files.delete_directory(f"{volume}/a")
    workspace.files.delete(f"{volume}/a/x")
    workspace.files.delete_directory(f"{volume}/a/b")
    with pytest.raises(NotFound):
        list(workspace.files.list_directory_contents(f"{volume}/a/b"))
    for path in (f"{volume}/../x", "/Volumes/none/s/v/x", "/tmp/x"):
        with pytest.raises(DatabricksError):
            workspace.files.upload(path, io.BytesIO(b"x"))


def test_unity_catalog_tells_what_there_is(workspace: WorkspaceClient, run: Run, catalog: str) -> None:
    run(f"CREATE TABLE {catalog}.s.t (id BIGINT NOT NULL, n DECIMAL(10, 2)) COMMENT 'c'")
    table = workspace.tables.get(f"{catalog}.s.t")

    assert [(one.name, one.type_text, one.nullable) for one in table.columns or []] == [
        ("id", "bigint", False),
        ("n", "decimal(10,2)", True),
    ]
    assert catalog in [one.name for one in workspace.catalogs.list()]
    assert "s" in [one.name for one in workspace.schemas.list(catalog)]
    assert [one.name for one in workspace.volumes.list(catalog, "s")] == ["v"]
    with pytest.raises(NotFound):
        workspace.tables.get(f"{catalog}.s.none")


def test_rights_are_given_taken_and_told(workspace: WorkspaceClient, catalog: str) -> None:
    grants = workspace.grants
    grants.update("CATALOG", catalog, changes=[PermissionsChange(add=[Privilege.USE_CATALOG], principal="ann")])
    given = grants.get("CATALOG", catalog).privilege_assignments or []
    grants.update("CATALOG", catalog, changes=[PermissionsChange(remove=[Privilege.USE_CATALOG], principal="ann")])

    assert [(one.principal, one.privileges) for one in given] == [("ann", [Privilege.USE_CATALOG])]
    assert not grants.get("CATALOG", catalog).privilege_assignments


def test_statements_run_by_rest(workspace: WorkspaceClient, run: Run, catalog: str) -> None:
    run(f"CREATE TABLE {catalog}.s.t AS SELECT 1 AS id, CAST(NULL AS STRING) AS name")
    api = workspace.statement_execution
    found = api.execute_statement(f"SELECT * FROM {catalog}.s.t", "lookalike")
    linked = api.execute_statement("SELECT 2 AS x", "lookalike", disposition=Disposition.EXTERNAL_LINKS)
    broken = api.execute_statement("SELECT * FROM nothing.s.t", "lookalike")

    assert found.result is not None
    assert found.result.data_array == [["1", None]]
    assert linked.result is not None
    assert linked.result.external_links
    assert requests.get(linked.result.external_links[0].external_link or "", timeout=5).content
    assert broken.status is not None
    assert broken.status.state is StatementState.FAILED


def test_a_service_principal_signs_in(lookalike: Lookalike, catalog: str) -> None:
    lookalike.add_service_principal("app", "secret")
    client = WorkspaceClient(host=lookalike.host, client_id="app", client_secret="secret")

    assert client.current_user.me().user_name == "app"
    with pytest.raises(PermissionDenied):
        client.files.upload(f"/Volumes/{catalog}/s/v/x", io.BytesIO(b"x"))
    with pytest.raises(ValueError, match="invalid_client"):
        WorkspaceClient(host=lookalike.host, client_id="app", client_secret="wrong").current_user.me()


def test_a_token_that_is_over_is_refused_and_renewed(lookalike: Lookalike) -> None:
    lookalike.add_service_principal("app2", "secret")
    client = WorkspaceClient(host=lookalike.host, client_id="app2", client_secret="secret")
    client.current_user.me()
    lookalike.workspace.expire_tokens()

    with pytest.raises(Unauthenticated):
        client.current_user.me()
    assert WorkspaceClient(host=lookalike.host, client_id="app2", client_secret="secret").current_user.me().user_name


def test_notebooks_are_kept(workspace: WorkspaceClient) -> None:
    source = base64.b64encode(b"SELECT 1").decode()
    with pytest.raises(NotFound):
        workspace.workspace.import_("/Shared/x", content=source, format=ImportFormat.SOURCE, language=Language.SQL)
    workspace.workspace.mkdirs("/Shared")
    workspace.workspace.import_("/Shared/x", content=source, format=ImportFormat.SOURCE, language=Language.SQL)

    assert workspace.workspace.get_status("/Shared/x").language is Language.SQL
    assert workspace.workspace.export("/Shared/x").content == source


def test_faults_hit_what_they_name(lookalike: Lookalike, workspace: WorkspaceClient, catalog: str) -> None:
    path = f"/Volumes/{catalog}/s/v/x"
    for kind in ("unavailable", "throttled", "lost_request", "lost_answer"):
        lookalike.faults.add(Fault(kind, "PUT .*/v/x"))
        workspace.files.upload(path, io.BytesIO(kind.encode()), overwrite=True)
        assert content(workspace, path) == kind.encode()
    lookalike.faults.add(Fault("broken", "scim"))
    with pytest.raises(DatabricksError):
        workspace.current_user.me()


def test_unknown_routes_are_errors(lookalike: Lookalike, workspace: WorkspaceClient) -> None:
    with pytest.raises(DatabricksError):
        list(workspace.clusters.list())
    assert requests.get(f"{lookalike.host}/presigned/Volumes/x/s/v/y", timeout=5).status_code == 403
    assert requests.get(f"{lookalike.host}/api/2.1/unity-catalog/catalogs", timeout=5).status_code == 401
