"""The tools, one entry each: what a model reads of it, and the one operation it calls."""

from __future__ import annotations

from servicetsunami.mcp import apps, text
from servicetsunami.mcp.arguments import (
    DeleteConnection,
    DescribeTable,
    GetRun,
    ListConnections,
    ListSourceTables,
    ListTables,
    OneConnection,
    OneRun,
    QuerySource,
    QuerySql,
    SyncToBronze,
    UploadFile,
)
from servicetsunami.mcp.spec import Hints, ToolCall, ToolSpec
from servicetsunami.operations import connections, deleting, sources, sync, tables
from servicetsunami.operations.answers import saving
from servicetsunami.operations.models import (
    ConnectionList,
    DeleteResult,
    QueryPage,
    QueryResult,
    RunView,
    SourceTables,
    TableDescription,
    TableList,
    TestResult,
)
from servicetsunami.operations.uploads import Upload, offer_link, upload_file
from servicetsunami.operations.uploads.models import UploadResult

_READS = Hints(read_only=True, idempotent=True)
_A_PAGE = 200
_READS_OUTSIDE = Hints(read_only=True, idempotent=True, open_world=True)


async def _test_connection(call: ToolCall, arguments: OneConnection) -> TestResult:
    return await connections.test_connection(call.app, call.caller, arguments.connection_id)


async def _list_connections(call: ToolCall, arguments: ListConnections) -> ConnectionList:
    return await connections.list_connections(call.app, call.caller, cursor=arguments.cursor, limit=_A_PAGE)


async def _delete_connection(call: ToolCall, arguments: DeleteConnection) -> DeleteResult:
    return await deleting.delete_connection(
        call.app,
        call.caller,
        arguments.connection_id,
        confirmation_token=arguments.confirmation_token,
        person=call.ask,
    )


async def _list_source_tables(call: ToolCall, arguments: ListSourceTables) -> SourceTables:
    return await sources.list_source_tables(
        call.app,
        call.caller,
        arguments.connection_id,
        search=arguments.search,
        cursor=arguments.cursor,
        limit=arguments.limit,
    )


async def _sync_to_bronze(call: ToolCall, arguments: SyncToBronze) -> RunView:
    async def on_progress(run: RunView) -> None:
        await call.report(run.rows_read, run.rows_total, f"{run.rows_read:,} rows read")

    return await sync.sync_to_bronze(
        call.app,
        call.caller,
        arguments.connection_id,
        arguments.table_name,
        sync_mode=arguments.sync_mode,
        wait_seconds=arguments.wait_seconds,
        on_progress=on_progress,
    )


async def _get_run(call: ToolCall, arguments: GetRun) -> RunView:
    return await sync.get_run(call.app, call.caller, arguments.run_id, wait_seconds=arguments.wait_seconds)


async def _cancel_run(call: ToolCall, arguments: OneRun) -> RunView:
    return await sync.cancel_run(call.app, call.caller, arguments.run_id)


async def _upload_file(call: ToolCall, given: UploadFile) -> UploadResult:
    async def on_progress(run: RunView) -> None:
        await call.report(run.rows_read, run.rows_total, f"{run.rows_read:,} rows read")

    upload = Upload(given.file_name, given.dataset_name, given.mode, given.sheet, given.wait_seconds)
    if given.file_content is None:
        return await offer_link(call.app, call.caller, upload, call.door)
    return await upload_file(call.app, call.caller, upload, given.file_content, on_progress=on_progress)


async def _query_source(call: ToolCall, arguments: QuerySource) -> QueryResult:
    return await sources.query_source(
        call.app, call.caller, arguments.connection_id, arguments.sql, limit=arguments.limit
    )


async def _query_sql(call: ToolCall, arguments: QuerySql) -> QueryPage:
    asked = call.app, call.caller, arguments.sql
    if arguments.validate_only:
        return await tables.validate_sql(*asked)
    if arguments.save_as is None:
        return await tables.query_sql(*asked, limit=arguments.limit, cursor=arguments.cursor)
    return await saving.save_result(*asked, arguments.save_as, limit=arguments.limit, cursor=arguments.cursor)


def _whole(result: QueryPage) -> str | None:
    return f"query-result://{result.result_id}" if result.result_id else None


async def _list_tables(call: ToolCall, arguments: ListTables) -> TableList:
    return await tables.list_tables(
        call.app, call.caller, layer=arguments.layer, cursor=arguments.cursor, limit=arguments.limit
    )


async def _describe_table(call: ToolCall, arguments: DescribeTable) -> TableDescription:
    return await tables.describe_table(
        call.app, call.caller, arguments.table, preview=arguments.preview, cursor=arguments.cursor
    )


TEST_CONNECTION = ToolSpec(
    name="test_connection",
    title="Test a connection",
    description=(
        "Test a stored connection step by step, from the network to reading one row. Use it when a sync or query "
        "fails, or after something changed at the source. A failed test names the step, the cause and the fix."
    ),
    arguments=OneConnection,
    result=TestResult,
    run=_test_connection,
    text=text.test_text,
    scope="sync",
    hints=Hints(idempotent=True, open_world=True),
)

LIST_CONNECTIONS = ToolSpec(
    name="list_connections",
    title="List connections",
    description=(
        "List the sources that are connected, with their ids and the outcome of their last test. Call it first, to "
        "find a connection_id or to see that nothing is connected yet. Secrets are named, never shown."
    ),
    arguments=ListConnections,
    result=ConnectionList,
    run=_list_connections,
    text=text.connections_text,
    scope="read",
    hints=_READS,
)

DELETE_CONNECTION = ToolSpec(
    name="delete_connection",
    title="Delete a connection",
    description=(
        "Delete a connection and its stored secrets for good. Use it only when the person asks for it; they confirm it "
        "in their client, else through a second call with the answer's confirmation_token. Tables that it filled stay."
    ),
    arguments=DeleteConnection,
    result=DeleteResult,
    run=_delete_connection,
    text=text.delete_text,
    scope="admin",
    hints=Hints(destructive=True),
)

LIST_SOURCE_TABLES = ToolSpec(
    name="list_source_tables",
    title="List tables at the source",
    description=(
        "List the tables, views and other streams a connection may read, with key, cursor, size and how each can be "
        "synced. Use it before sync_to_bronze to find the exact table_name; columns are given when few tables match, "
        "so narrow it with `search`."
    ),
    arguments=ListSourceTables,
    result=SourceTables,
    run=_list_source_tables,
    text=text.source_tables_text,
    scope="read",
    hints=_READS_OUTSIDE,
)

TOLD_OF_A_RUN = ("run_id", "status", "bronze_table", "rows", "message", "problem", "notes")
"""What the schemas of tools about a run name of it; the reference of the tools has the rest."""

SYNC_TO_BRONZE = ToolSpec(
    name="sync_to_bronze",
    title="Sync a table into the lakehouse",
    description=(
        "Copy a source table into the lakehouse's bronze layer, or bring it up to date. Use it before querying a "
        "source table with query_sql. Leave sync_mode out: only changed rows are read where that is possible. If the "
        "answer's status is `running`, the run goes on: ask get_run with its run_id."
    ),
    arguments=SyncToBronze,
    result=RunView,
    told=TOLD_OF_A_RUN,
    run=_sync_to_bronze,
    text=text.run_text,
    scope="sync",
    hints=Hints(idempotent=True, open_world=True),
    long=True,
    view=apps.RUN,
)

UPLOAD_FILE = ToolSpec(
    name="upload_file",
    title="Upload a file",
    description=(
        "Take a file the person has (CSV, Excel, JSON, Parquet, Arrow) and bring it into a bronze table. Give a small "
        "one as file_content; without it the answer is a link, used once, that the file is sent to with "
        "`curl -T FILE URL` or in a browser."
    ),
    arguments=UploadFile,
    result=UploadResult,
    run=_upload_file,
    text=text.upload_text,
    scope="sync",
    hints=Hints(destructive=True),
)

GET_RUN = ToolSpec(
    name="get_run",
    title="Watch a run",
    description=(
        "Show how far a run is, or how it ended. Use it after sync_to_bronze answered with status `running`; "
        "wait_seconds lets the call wait for the end instead of asking again and again."
    ),
    arguments=GetRun,
    result=RunView,
    told=TOLD_OF_A_RUN,
    run=_get_run,
    text=text.run_text,
    scope="read",
    hints=_READS,
    view=apps.RUN,
)

CANCEL_RUN = ToolSpec(
    name="cancel_run",
    title="Cancel a run",
    description=(
        "Stop a run that is under way. Nothing of it becomes visible: the table keeps the rows it had before. A run "
        "that has already ended stays as it is."
    ),
    arguments=OneRun,
    result=RunView,
    told=TOLD_OF_A_RUN,
    run=_cancel_run,
    text=text.run_text,
    scope="sync",
    hints=Hints(destructive=True, idempotent=True),
    view=apps.RUN,
)

QUERY_SOURCE = ToolSpec(
    name="query_source",
    title="Query a source directly",
    description=(
        "Run one read-only SELECT at the source, in its own SQL dialect. Use it to look at a few live rows or to count "
        "before a sync; for analysis, sync the table and use query_sql. Anything but a SELECT is refused."
    ),
    arguments=QuerySource,
    result=QueryResult,
    told=("columns", "rows", "truncated", "notice"),
    run=_query_source,
    text=text.query_text,
    scope="read",
    hints=_READS_OUTSIDE,
)

QUERY_SQL = ToolSpec(
    name="query_sql",
    title="Query the lakehouse",
    description=(
        "Answer a question with one SELECT in Databricks SQL over the lakehouse tables, such as bronze.customers. Use "
        "describe_table first for exact column names. Aggregate and filter in SQL: an answer holds 200 rows unless "
        "limit says otherwise; for the next ones repeat the same sql with cursor."
    ),
    arguments=QuerySql,
    result=QueryPage,
    told=("columns", "rows", "row_count", "truncated", "next_cursor", "execution_time", "result"),
    run=_query_sql,
    text=text.page_text,
    whole=_whole,
    scope="read",
    hints=_READS,
    always_load=True,
)

LIST_TABLES = ToolSpec(
    name="list_tables",
    title="List lakehouse tables",
    description=(
        "List the tables in the lakehouse with their rows and when they were last updated. Use it to find what can be "
        "queried with query_sql; tables still at a source are listed by list_source_tables."
    ),
    arguments=ListTables,
    result=TableList,
    run=_list_tables,
    text=text.tables_text,
    scope="read",
    hints=_READS,
    always_load=True,
)

DESCRIBE_TABLE = ToolSpec(
    name="describe_table",
    title="Describe a lakehouse table",
    description=(
        "Show a lakehouse table's columns, types, key, comments, size and latest changes. Use it before writing SQL "
        "for query_sql, so that names and types are right; with preview to see what the columns hold."
    ),
    arguments=DescribeTable,
    result=TableDescription,
    told=("table", "columns", "key", "definition", "sample"),
    run=_describe_table,
    text=text.description_text,
    scope="read",
    hints=_READS,
    always_load=True,
    view=apps.TABLE,
)
