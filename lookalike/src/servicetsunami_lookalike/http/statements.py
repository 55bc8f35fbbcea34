"""The Statement Execution API: statements by REST, with rows inline or behind links."""

from __future__ import annotations

import uuid
from typing import Any

import pyarrow as pa

from servicetsunami.sdk.delta import from_arrow, to_databricks
from servicetsunami_lookalike.http.messages import ApiError, Request, Response, as_json
from servicetsunami_lookalike.operations import Operation
from servicetsunami_lookalike.sql.session import Parameter, Session
from servicetsunami_lookalike.workspace import Workspace

_STATES = {
    "running": "RUNNING",
    "finished": "SUCCEEDED",
    "failed": "FAILED",
    "timed_out": "FAILED",
    "cancelled": "CANCELED",
}


def execute(workspace: Workspace, request: Request) -> Response:
    """Begin a statement, and wait for it as long as the caller says."""
    wanted = request.json()
    if not wanted.get("warehouse_id"):
        raise ApiError(400, "INVALID_PARAMETER_VALUE", "warehouse_id is required")
    session = Session(workspace.catalogs, request.principal, base_url=workspace.base_url)
    session.catalog = str(wanted.get("catalog") or session.catalog).casefold()
    session.schema = str(wanted.get("schema") or session.schema).casefold()
    parameters = [
        Parameter(one["name"], one.get("type", "STRING"), one.get("value")) for one in wanted.get("parameters", [])
    ]
    operation = Operation(session, str(wanted["statement"]), parameters)
    operation.by_link = wanted.get("disposition") == "EXTERNAL_LINKS"
    workspace.start(operation)
    if not operation.wait(_seconds(wanted.get("wait_timeout", "10s"))) and wanted.get("on_wait_timeout") == "CANCEL":
        operation.stop()
    return as_json(_told(workspace, operation))


def status(workspace: Workspace, request: Request) -> Response:
    """Tell how far a statement is, with its rows once there are any."""
    return as_json(_told(workspace, _operation(workspace, request)))


def cancel(workspace: Workspace, request: Request) -> Response:
    """Stop a statement."""
    _operation(workspace, request).stop()
    return as_json()


def chunk(workspace: Workspace, request: Request) -> Response:
    """Give the rows again; all of them are chunk 0."""
    if request.groups["chunk"] != "0":
        raise ApiError(404, "NOT_FOUND", "there is no such chunk")
    return as_json(_result(workspace, _operation(workspace, request)))


def _operation(workspace: Workspace, request: Request) -> Operation:
    return workspace.operation(uuid.UUID(request.groups["id"]))


def _seconds(text: str) -> float:
    seconds = float(text.rstrip("s"))
    if seconds and not 5 <= seconds <= 50:
        raise ApiError(400, "INVALID_PARAMETER_VALUE", "wait_timeout is 0s, or between 5s and 50s")
    return seconds


def _told(workspace: Workspace, operation: Operation) -> dict[str, Any]:
    state: dict[str, Any] = {"state": _STATES[operation.state]}
    if operation.error is not None:
        state["error"] = {"error_code": "BAD_REQUEST", "message": str(operation.error)}
    told: dict[str, Any] = {"statement_id": str(operation.id), "status": state}
    if operation.answer is not None:
        rows = operation.answer.rows
        columns = [
            {"name": one.name, "position": at, "type_text": to_databricks(from_arrow(one.type))}
            for at, one in enumerate(rows.schema)
        ]
        format_ = "ARROW_STREAM" if operation.by_link else "JSON_ARRAY"
        schema = {"column_count": len(columns), "columns": columns}
        told["manifest"] = {"format": format_, "schema": schema, "total_row_count": rows.num_rows}
        told["manifest"]["chunks"] = [{"chunk_index": 0, "row_offset": 0, "row_count": rows.num_rows}]
        told["result"] = _result(workspace, operation)
    return told


def _result(workspace: Workspace, operation: Operation) -> dict[str, Any]:
    if operation.answer is None:
        raise ApiError(404, "NOT_FOUND", "the statement has no result")
    rows = operation.answer.rows
    told: dict[str, Any] = {"chunk_index": 0, "row_offset": 0, "row_count": rows.num_rows}
    if not operation.by_link:
        texts = [[_text(value) for value in column.to_pylist()] for column in rows.columns]
        return {**told, "data_array": [list(row) for row in zip(*texts, strict=True)]}
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, rows.schema) as writer:
        writer.write_table(rows)
    address, _ = workspace.offer(bytes(sink.getvalue()))
    link = {"external_link": address, "expiration": "2100-01-01T00:00:00Z", **told}
    return {**told, "external_links": [link]}


def _text(value: Any) -> str | None:
    if value is None:
        return None
    return str(value).lower() if isinstance(value, bool) else str(value)
