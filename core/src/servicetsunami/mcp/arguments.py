"""What tools are asked with, and how a wrong question is answered: by the argument's name, never by its value."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from servicetsunami.mcp.schemas import config_properties
from servicetsunami.operations.connecting import secret_not_accepted
from servicetsunami.operations.stream_settings import StreamSettings
from servicetsunami.sdk import ConfigError, Json, nearest

SecretRefs = Annotated[
    dict[str, str] | None, Field(description="Secrets to read at env:, file: or keyring:, by setting.")
]
ConnectionId = Annotated[str, Field(description="Id of a connection, from connect_* or list_connections.")]
RunId = Annotated[str, Field(description="Id of a run, from sync_to_bronze.")]
TenantId = Annotated[str | None, Field(description="Leave out.")]
Limit = Annotated[int | None, Field(ge=1, le=1000, description="Most rows to return; 200 if left out.")]
WaitSeconds = Annotated[float, Field(ge=0, le=300, description="How long to wait for the run to end.")]
ConfirmationToken = Annotated[str | None, Field(description="From the answer before, once the person agreed.")]
Cursor = Annotated[str | None, Field(description="next_cursor of the answer before.")]


def _stream_schema(schema: Json) -> None:
    """Show the settings of a stream; they are checked where they are stored, with words of their own."""
    properties, _ = config_properties(StreamSettings)
    settings = {"type": "object", "properties": properties, "additionalProperties": False}
    del schema["anyOf"]
    schema |= {"type": "object", "additionalProperties": settings}


class Arguments(BaseModel):
    """Base of the arguments of every tool."""

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)


class TenantArguments(Arguments):
    """Arguments of a tool that may name its tenant."""

    tenant_id: TenantId = None


class ConnectSource(TenantArguments):
    """Arguments of connect_source."""

    connector: str
    name: Annotated[str, Field(min_length=1, max_length=100, description="A name for the connection, of your choice.")]
    config: Annotated[Json, Field(description="The connector's own settings by name.")]
    streams: Annotated[
        Json | None,
        Field(description="Settings per source table. Seldom needed.", json_schema_extra=_stream_schema),
    ] = None
    secret_refs: SecretRefs = None


class ConnectTo(TenantArguments):
    """Arguments of connect_<connector>: the connector's own settings lie beside these and are checked by it."""

    model_config = ConfigDict(extra="allow")

    name: Annotated[str, Field(min_length=1, max_length=100, description="A name for the connection, of your choice.")]

    @property
    def config(self) -> Json:
        """The connector's settings; null is as good as left out."""
        return {name: value for name, value in (self.model_extra or {}).items() if value is not None}


class ConnectWithSecrets(ConnectTo):
    """Arguments of connect_<connector> where some of its settings are secrets."""

    secret_refs: SecretRefs = None


class ListConnections(Arguments):
    """Arguments of list_connections."""

    cursor: Cursor = None


class OneConnection(Arguments):
    """Arguments of a tool about one connection."""

    connection_id: ConnectionId


class DeleteConnection(OneConnection):
    """Arguments of delete_connection."""

    confirmation_token: ConfirmationToken = None


class ListSourceTables(OneConnection):
    """Arguments of list_source_tables."""

    search: Annotated[str | None, Field(description="Only tables whose name holds this text.")] = None
    cursor: Cursor = None
    limit: Annotated[int, Field(ge=1, le=200, description="Most tables to return.")] = 50


class SyncToBronze(TenantArguments):
    """Arguments of sync_to_bronze."""

    connection_id: ConnectionId
    table_name: Annotated[str, Field(description="As list_source_tables names it.")]
    sync_mode: str | None = None
    wait_seconds: WaitSeconds = 20


class UploadFile(TenantArguments):
    """Arguments of upload_file."""

    file_name: Annotated[str, Field(description="With its ending, such as orders.csv.")]
    dataset_name: Annotated[str, Field(description="The table in bronze gets this name.")]
    file_content: Annotated[str | None, Field(description="In base64. Leave out to get a link.")] = None
    mode: Literal["replace", "append"] = "replace"
    sheet: Annotated[str | None, Field(description="Which sheet of a workbook, if it has several.")] = None
    wait_seconds: WaitSeconds = 20


class TransformToSilver(TenantArguments):
    """Arguments of transform_to_silver."""

    bronze_table: Annotated[str, Field(description="Such as bronze.customers.")]
    transformations: Annotated[
        list[Json],
        Field(
            max_length=100,
            description=(
                "Steps in order, objects with op: trim|mask|hash(columns), case(columns, to: lower|upper|title), "
                "nullify(columns), fill(column, value), rename(column, to), drop(columns), cast(column, type), "
                "parse_date(column, formats: [dd/MM/yyyy]), parse_number(column, type), split(column, separator, "
                "into), extract_json(column, path: $.a, to, type), flatten(column), compute(column, expression, type), "
                "filter(where), deduplicate(key, order_by). on_failure: null|quarantine|stop where values are read."
            ),
        ),
    ] = []
    checks: Annotated[
        list[Json],
        Field(
            max_length=100,
            description=(
                "Objects with check: not_null|unique(columns), range(column, minimum, maximum), pattern(column, "
                "pattern), one_of(column, values), reference(column, table, to), row_count(max_change), and action: "
                "warn|quarantine|stop."
            ),
        ),
    ] = []
    silver_table: Annotated[str | None, Field(description="By default called as the source.")] = None
    preview: Annotated[bool, Field(description="Only show what would come out.")] = False
    wait_seconds: WaitSeconds = 20


class CreateGoldView(TenantArguments):
    """Arguments of create_gold_view."""

    name: Annotated[str, Field(description="Such as monthly_signups.")]
    sql: Annotated[str, Field(description="One SELECT in Databricks SQL; every column with a name.")]
    comment: Annotated[str, Field(max_length=1000, description="What it tells, for those who find it.")] = ""


class OneTable(TenantArguments):
    """Arguments of a tool about one table."""

    table_name: Annotated[str, Field(description="Such as bronze.customers.")]


class CreateNotebook(TenantArguments):
    """Arguments of create_notebook."""

    notebook_name: Annotated[str, Field(description="Such as monthly signups.")]
    cells: Annotated[list[str], Field(min_length=1, max_length=100, description="Source of each cell, in order.")]
    language: Literal["sql", "python"] = "sql"


class OneRun(Arguments):
    """Arguments of a tool about one run."""

    run_id: RunId


class GetRun(OneRun):
    """Arguments of get_run."""

    wait_seconds: WaitSeconds = 0


class QuerySource(TenantArguments):
    """Arguments of query_source."""

    connection_id: ConnectionId
    sql: Annotated[str, Field(description="One SELECT in the source's own SQL dialect.")]
    limit: Limit = None


class QuerySql(TenantArguments):
    """Arguments of query_sql."""

    sql: Annotated[str, Field(description="One SELECT in Databricks SQL.")]
    limit: Limit = None
    cursor: Cursor = None
    save_as: Annotated[
        Literal["csv", "parquet", "jsonl"] | None, Field(description="Write the whole result to a file.")
    ] = None
    validate_only: Annotated[bool, Field(description="Only check it.")] = False


class ListTables(TenantArguments):
    """Arguments of list_tables."""

    layer: Annotated[Literal["bronze", "silver", "gold"] | None, Field(description="Only this layer.")] = None
    cursor: Cursor = None
    limit: Annotated[int, Field(ge=1, le=500, description="Most tables to return.")] = 100


class DescribeTable(TenantArguments):
    """Arguments of describe_table."""

    table: Annotated[str, Field(description="Name of the table, such as bronze.customers.")]
    preview: Annotated[bool, Field(description="Also 20 rows, and nulls, distinct values and range per column.")] = (
        False
    )
    cursor: Cursor = None


def check_names(tool: str, arguments: Mapping[str, Any], known: Sequence[str]) -> None:
    """Raise `ConfigError` for an argument that is not known."""
    for name in arguments:
        if name not in known:
            raise _unknown(tool, name, known)


def check_withheld(arguments: Mapping[str, Any], withheld: Sequence[str]) -> None:
    """Raise `ConfigError` (`secret_not_accepted`) for a secret; never repeats it."""
    for name in withheld:
        if arguments.get(name) is not None:
            raise secret_not_accepted(name)


def check_choices(tool: str, arguments: Mapping[str, Any], choices: Mapping[str, Sequence[Any]]) -> None:
    """Raise `ConfigError` for an argument that is none of its choices; never repeats its value."""
    for name, allowed in choices.items():
        value = arguments.get(name)
        if value is not None and value not in allowed:
            raise _not_a_choice(tool, name, value, allowed)


def parse(tool: str, arguments: Mapping[str, Any], model: type[Arguments]) -> Arguments:
    """Return the arguments as `model`; raises `ConfigError` that names the first at fault, never its value."""
    try:
        return model.model_validate(dict(arguments))
    except ValidationError as error:
        raise _wrong(tool, error) from None


def _unknown(tool: str, name: str, known: Sequence[str]) -> ConfigError:
    near = nearest(name, known)
    # A name that resembles none of ours may be a value put in the wrong place, so it is not repeated.
    shown = f"'{name}'" if near and name.isidentifier() else "of that name"
    return ConfigError(
        f"{tool} has no argument {shown}, so it was not called",
        code="unknown_argument",
        fix=f"use only: {', '.join(known)}" if known else "call it without arguments",
        did_you_mean=near,
    )


def _not_a_choice(tool: str, name: str, value: object, choices: Sequence[str]) -> ConfigError:
    return ConfigError(
        f"the argument '{name}' of {tool} is none of its choices, so it was not called",
        code="invalid_argument",
        field=name,
        fix=f"use one of: {', '.join(map(str, choices))}",
        did_you_mean=nearest(value, choices) if isinstance(value, str) else (),
    )


def _wrong(tool: str, error: ValidationError) -> ConfigError:
    fault = error.errors(include_input=False, include_url=False, include_context=False)[0]
    field = ".".join(str(part) for part in fault["loc"][:1])
    if fault["type"] == "missing":
        return ConfigError(
            f"{tool} needs the argument '{field}', so it was not called",
            code="missing_argument",
            field=field,
            fix=f"call it again with '{field}'",
        )
    return ConfigError(
        f"the argument '{field}' of {tool} is not valid, so it was not called: {fault['msg']}",
        code="invalid_argument",
        field=field,
        fix=f"correct '{field}' and call it again",
    )
