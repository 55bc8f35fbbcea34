"""The Thrift service of a SQL warehouse, through the connector's own generated processor."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from typing import Any

import lz4.frame
import pyarrow as pa
from databricks.sql.thrift_api.TCLIService import TCLIService, ttypes
from thrift.protocol.TBinaryProtocol import TBinaryProtocol
from thrift.transport.TTransport import TMemoryBuffer

from servicetsunami_lookalike.grants import Principal
from servicetsunami_lookalike.operations import Operation
from servicetsunami_lookalike.sql.errors import SqlError
from servicetsunami_lookalike.sql.session import Parameter
from servicetsunami_lookalike.workspace import Workspace

_HOLD_SECONDS = 2.0
"""How long an answer waits for a statement to end before the client is told to ask again."""
_POLL_SECONDS = 1.0
_LINKED_BYTES = 1024 * 1024
"""Results beyond this size are downloaded by links, where the client can."""
_CHUNK_ROWS = 100_000
_STATES = {
    "running": ttypes.TOperationState.RUNNING_STATE,
    "finished": ttypes.TOperationState.FINISHED_STATE,
    "failed": ttypes.TOperationState.ERROR_STATE,
    "cancelled": ttypes.TOperationState.CANCELED_STATE,
    "timed_out": ttypes.TOperationState.ERROR_STATE,
}
_KINDS: tuple[tuple[Any, int], ...] = (
    (pa.types.is_boolean, ttypes.TTypeId.BOOLEAN_TYPE),
    (pa.types.is_int8, ttypes.TTypeId.TINYINT_TYPE),
    (pa.types.is_int16, ttypes.TTypeId.SMALLINT_TYPE),
    (pa.types.is_int32, ttypes.TTypeId.INT_TYPE),
    (pa.types.is_int64, ttypes.TTypeId.BIGINT_TYPE),
    (pa.types.is_float32, ttypes.TTypeId.FLOAT_TYPE),
    (pa.types.is_float64, ttypes.TTypeId.DOUBLE_TYPE),
    (pa.types.is_decimal, ttypes.TTypeId.DECIMAL_TYPE),
    (pa.types.is_date, ttypes.TTypeId.DATE_TYPE),
    (pa.types.is_timestamp, ttypes.TTypeId.TIMESTAMP_TYPE),
    (pa.types.is_binary, ttypes.TTypeId.BINARY_TYPE),
    (pa.types.is_list, ttypes.TTypeId.ARRAY_TYPE),
    (pa.types.is_map, ttypes.TTypeId.MAP_TYPE),
    (pa.types.is_struct, ttypes.TTypeId.STRUCT_TYPE),
    (pa.types.is_null, ttypes.TTypeId.NULL_TYPE),
)


def call(workspace: Workspace, principal: Principal, body: bytes, delay: float) -> bytes:
    """Answer one Thrift message."""
    out = TMemoryBuffer()
    processor = TCLIService.Processor(_Service(workspace, principal, delay))
    processor.process(TBinaryProtocol(TMemoryBuffer(body)), TBinaryProtocol(out))
    return bytes(out.getvalue())


def label_of(body: bytes) -> str:
    """Name a Thrift message: its method, and the statement if it brings one."""
    protocol = TBinaryProtocol(TMemoryBuffer(body))
    method, _, _ = protocol.readMessageBegin()
    if method != "ExecuteStatement":
        return str(method)
    arguments = TCLIService.ExecuteStatement_args()
    arguments.read(protocol)
    return f"{method} {arguments.req.statement}"


class _Service:
    """What the processor calls; the rest of the interface is refused."""

    def __init__(self, workspace: Workspace, principal: Principal, delay: float) -> None:
        self._workspace = workspace
        self._principal = principal
        self._delay = delay

    def __getattr__(self, name: str) -> Any:
        raise NotImplementedError(f"the look-alike does not know the Thrift call {name}")

    def OpenSession(self, req: Any) -> Any:
        start = req.initialNamespace
        settings = {key.casefold(): value for key, value in (req.configuration or {}).items()}
        session = self._workspace.open_session(
            self._principal, start and start.catalogName, start and start.schemaName, settings
        )
        handle = ttypes.TSessionHandle(sessionId=_identifier(session))
        return ttypes.TOpenSessionResp(
            status=_ok(),
            sessionHandle=handle,
            serverProtocolVersion=ttypes.TProtocolVersion.SPARK_CLI_SERVICE_PROTOCOL_V7,
            initialNamespace=start,
            canUseMultipleCatalogs=True,
        )

    def CloseSession(self, req: Any) -> Any:
        self._workspace.close_session(_uuid(req.sessionHandle.sessionId))
        return ttypes.TCloseSessionResp(status=_ok())

    def ExecuteStatement(self, req: Any) -> Any:
        session = self._workspace.session(_uuid(req.sessionHandle.sessionId))
        operation = Operation(session, req.statement, [_parameter(one) for one in req.parameters or ()])
        operation.compressed = bool(req.canDecompressLZ4Result)
        operation.most_rows = req.resultRowLimit
        operation.by_link = bool(req.canDownloadResult)
        self._workspace.start(operation, self._delay)
        response = ttypes.TExecuteStatementResp(status=_ok(), operationHandle=_handle(operation))
        if req.getDirectResults is not None and operation.wait(_HOLD_SECONDS):
            response.directResults = self._direct(operation, req.getDirectResults.maxRows)
        return response

    def GetOperationStatus(self, req: Any) -> Any:
        operation = self._operation(req)
        operation.wait(_POLL_SECONDS)
        return _status(operation)

    def CancelOperation(self, req: Any) -> Any:
        self._operation(req).stop()
        return ttypes.TCancelOperationResp(status=_ok())

    def CloseOperation(self, req: Any) -> Any:
        self._workspace.forget(_uuid(req.operationHandle.operationId))
        return ttypes.TCloseOperationResp(status=_ok())

    def GetResultSetMetadata(self, req: Any) -> Any:
        return _metadata(self._operation(req))

    def FetchResults(self, req: Any) -> Any:
        operation = self._operation(req)
        rows, more = self._rows(operation, req.maxRows)
        return ttypes.TFetchResultsResp(
            status=_ok(), hasMoreRows=more, results=rows, resultSetMetadata=_metadata(operation)
        )

    def _operation(self, req: Any) -> Operation:
        return self._workspace.operation(_uuid(req.operationHandle.operationId))

    def _direct(self, operation: Operation, most_rows: int) -> Any:
        direct = ttypes.TSparkDirectResults(operationStatus=_status(operation))
        if operation.answer is not None:
            direct.resultSetMetadata = _metadata(operation)
            rows, more = self._rows(operation, most_rows)
            direct.resultSet = ttypes.TFetchResultsResp(status=_ok(), hasMoreRows=more, results=rows)
        return direct

    def _rows(self, operation: Operation, most_rows: int) -> tuple[Any, bool]:
        answer = operation.answer
        if answer is None:
            raise SqlError("INTERNAL_ERROR.LOOKALIKE", "rows were asked for that are not there")
        start = operation.position
        rows = answer.rows.slice(start, min(most_rows or _CHUNK_ROWS, answer.rows.num_rows))
        operation.position += rows.num_rows
        more = operation.position < answer.rows.num_rows
        found = ttypes.TRowSet(startRowOffset=start, rows=[])
        if _linked(operation):
            found.resultLinks = [self._link(operation, piece, at) for at, piece in _pieces(rows, start)]
        else:
            found.arrowBatches = [
                ttypes.TSparkArrowBatch(batch=_packed(operation, batch.serialize().to_pybytes()), rowCount=len(batch))
                for batch in rows.to_batches()
            ]
        return found, more

    def _link(self, operation: Operation, piece: pa.Table, at: int) -> Any:
        whole = _stream(piece)
        address, until = self._workspace.offer(_packed(operation, whole))
        return ttypes.TSparkArrowResultLink(
            fileLink=address, expiryTime=until, startRowOffset=at, rowCount=piece.num_rows, bytesNum=len(whole)
        )


def _linked(operation: Operation) -> bool:
    return operation.by_link and operation.answer is not None and operation.answer.rows.nbytes > _LINKED_BYTES


def _pieces(rows: pa.Table, start: int) -> Iterator[tuple[int, pa.Table]]:
    for offset in range(0, rows.num_rows, _CHUNK_ROWS):
        yield start + offset, rows.slice(offset, _CHUNK_ROWS)


def _stream(piece: pa.Table) -> bytes:
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, piece.schema) as writer:
        writer.write_table(piece)
    return bytes(sink.getvalue())


def _packed(operation: Operation, data: bytes) -> bytes:
    return bytes(lz4.frame.compress(data)) if operation.compressed else data


def _metadata(operation: Operation) -> Any:
    answer = operation.answer
    schema = answer.rows.schema if answer is not None else pa.schema([])
    kind = ttypes.TSparkRowSetType.URL_BASED_SET if _linked(operation) else ttypes.TSparkRowSetType.ARROW_BASED_SET
    return ttypes.TGetResultSetMetadataResp(
        status=_ok(),
        schema=ttypes.TTableSchema(columns=[_column(at, one) for at, one in enumerate(schema)]),
        resultFormat=kind,
        lz4Compressed=operation.compressed,
        arrowSchema=schema.serialize().to_pybytes(),
        isStagingOperation=answer is not None and answer.staging,
    )


def _column(at: int, field: pa.Field) -> Any:
    kind = next((kind for is_one, kind in _KINDS if is_one(field.type)), ttypes.TTypeId.STRING_TYPE)
    qualifiers = None
    if kind == ttypes.TTypeId.DECIMAL_TYPE:
        numbers = {"precision": field.type.precision, "scale": field.type.scale}
        qualifiers = ttypes.TTypeQualifiers(
            {name: ttypes.TTypeQualifierValue(i32Value=number) for name, number in numbers.items()}
        )
    entry = ttypes.TTypeEntry(primitiveEntry=ttypes.TPrimitiveTypeEntry(type=kind, typeQualifiers=qualifiers))
    return ttypes.TColumnDesc(columnName=field.name, typeDesc=ttypes.TTypeDesc(types=[entry]), position=at + 1)


def _status(operation: Operation) -> Any:
    error = operation.error
    return ttypes.TGetOperationStatusResp(
        status=_ok(),
        operationState=_STATES[operation.state],
        sqlState=error.sqlstate if error else None,
        errorMessage=str(error) if error else None,
        displayMessage=str(error) if error else None,
        hasResultSet=operation.answer is not None,
        numModifiedRows=operation.answer.affected if operation.answer else None,
    )


def _parameter(one: Any) -> Parameter:
    return Parameter(one.name, one.type, one.value.stringValue if one.value is not None else None)


def _handle(operation: Operation) -> Any:
    return ttypes.TOperationHandle(
        operationId=_identifier(operation.id),
        operationType=ttypes.TOperationType.EXECUTE_STATEMENT,
        hasResultSet=True,
    )


def _identifier(of: uuid.UUID) -> Any:
    return ttypes.THandleIdentifier(guid=of.bytes, secret=of.bytes)


def _uuid(identifier: Any) -> uuid.UUID:
    return uuid.UUID(bytes=identifier.guid)


def _ok() -> Any:
    return ttypes.TStatus(statusCode=ttypes.TStatusCode.SUCCESS_STATUS)
