"""Taking a file: looked at aside, made part of its dataset, and synced into bronze."""

from __future__ import annotations

import base64
import binascii
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Any, Literal

import anyio.to_thread

from servicetsunami.operations.models import RunView
from servicetsunami.operations.opened import with_source
from servicetsunami.operations.read_only import changing
from servicetsunami.operations.sync import OnProgress, sync_to_bronze
from servicetsunami.operations.uploads.folder import LOCATION, Incoming, UploadFolder
from servicetsunami.operations.uploads.models import UploadResult
from servicetsunami.operations.uploads.names import checked_dataset_name, checked_file_name
from servicetsunami.sdk import ConfigError, Source, Stream, TableName, Uploads, nearest
from servicetsunami.sync.naming import BRONZE

if TYPE_CHECKING:
    from servicetsunami.operations.app import App
    from servicetsunami.operations.caller import Caller
    from servicetsunami.records import Connection

Mode = Literal["replace", "append"]
CONNECTION = "uploads"
"""Name of the connection that reads a tenant's uploaded files."""


@dataclass(frozen=True)
class Upload:
    """What a file becomes."""

    file_name: str
    dataset_name: str
    mode: Mode = "replace"
    sheet: str | None = None
    wait_seconds: float | None = 20


@changing("nothing was uploaded")
async def upload_file(
    app: App, caller: Caller, upload: Upload, content: str, *, on_progress: OnProgress | None = None
) -> UploadResult:
    """Take a file in base64 and bring it into bronze; the table gets the dataset's name.

    Raises `ConfigError`: `bad_base64`, `file_too_large`, `bad_file_name`, `bad_dataset_name`, `format_not_read`,
    `format_differs`, `already_uploaded`, `several_sheets`, `name_taken`; and what reading the file raises.
    """
    return await upload_parts(app, caller, upload, _decoded(content), on_progress=on_progress)


def check(app: App, upload: Upload) -> Upload:
    """Return what is to be uploaded with its names checked, before anything of it is taken."""
    checked = replace(
        upload, file_name=checked_file_name(upload.file_name), dataset_name=checked_dataset_name(upload.dataset_name)
    )
    _reader(app, checked.file_name)
    return checked


@changing("nothing was uploaded")
async def upload_parts(
    app: App,
    caller: Caller,
    upload: Upload,
    parts: AsyncIterator[bytes],
    *,
    on_progress: OnProgress | None = None,
    before_placing: Callable[[], Awaitable[None]] | None = None,
) -> UploadResult:
    """Take a file as it comes and bring it into bronze; `before_placing` may still refuse it once it is whole."""
    upload = check(app, upload)
    folder = UploadFolder(app.settings.home, caller.tenant)
    connection = await _connection(app, caller, _reader(app, upload.file_name))
    with folder.aside() as aside:
        most = app.settings.max_upload_mb << 20
        incoming = await folder.receive(aside, upload.dataset_name, upload.file_name, parts, most)
        stream = await _looked_at(app, connection, incoming, upload)
        _check_format(folder, upload)
        await _name_table(app, caller, stream, upload.dataset_name)
        if before_placing is not None:
            await before_placing()
        await anyio.to_thread.run_sync(partial(folder.place, incoming, replace=upload.mode == "replace"))
    run = await sync_to_bronze(
        app,
        caller,
        connection.id,
        stream.id,
        sync_mode="full" if upload.mode == "replace" else None,
        wait_seconds=upload.wait_seconds,
        on_progress=on_progress,
    )
    return _result(run, incoming)


async def _decoded(content: str) -> AsyncIterator[bytes]:
    try:
        yield base64.b64decode("".join(content.split()), validate=True)
    except (binascii.Error, ValueError):
        raise ConfigError(
            "file_content is not base64, so nothing was uploaded",
            code="bad_base64",
            field="file_content",
            fix="encode the file's bytes in base64, or leave file_content out to get a link to upload it by",
        ) from None


def _reader(app: App, file_name: str) -> str:
    """Return the connector that reads files of this name; raises `ConfigError` (`format_not_read`)."""
    for name, cls in _takers(app).items():
        if cls.accepts(file_name):
            return name
    raise ConfigError(
        f"no installed connector reads a file named '{file_name}', so nothing was uploaded",
        code="format_not_read",
        field="file_name",
        fix="name it with the ending of its format, such as .csv, .xlsx, .json or .parquet",
    )


async def _connection(app: App, caller: Caller, connector: str) -> Connection:
    """Return the connection that reads uploaded files; made with the first of them."""
    found = await _existing(app, caller)
    if found is None:
        settings = _takers(app)[connector].upload_settings(LOCATION)
        try:
            return await app.records.create_connection(
                caller.tenant, name=CONNECTION, connector=connector, settings=settings, secrets={}, streams={}
            )
        except ConfigError:  # another upload made it a moment ago
            found = await _existing(app, caller)
    if found is None or found.connector != connector or found.settings.get("location") != LOCATION:
        raise ConfigError(
            f"a connection named '{CONNECTION}' exists and reads something else, so nothing was uploaded",
            code="name_taken",
            field="dataset_name",
            fix=f"delete the connection '{CONNECTION}', or connect its source under another name",
        )
    return found


async def _existing(app: App, caller: Caller) -> Connection | None:
    known = await app.records.connections(caller.tenant)
    return next((one for one in known if one.name == CONNECTION), None)


async def _looked_at(app: App, connection: Connection, incoming: Incoming, upload: Upload) -> Stream:
    """Read a row of the file where it lies aside; raises what is wrong with it, before anything else changes."""
    aside = replace(connection, settings={**connection.settings, "location": incoming.location})
    streams = await with_source(app, aside, _checked)
    return _chosen(streams, upload)


def _checked(source: Source[Any]) -> list[Stream]:
    source.check()
    return list(source.streams())


def _chosen(streams: list[Stream], upload: Upload) -> Stream:
    sheets = {stream.name.removeprefix(f"{upload.dataset_name}_"): stream for stream in streams}
    if upload.sheet is None and len(streams) == 1:
        return streams[0]
    if upload.sheet in sheets:
        return sheets[upload.sheet]
    raise ConfigError(
        "the file has several sheets, so nobody can tell which becomes the table"
        if upload.sheet is None
        else "the file has no such sheet, so nothing was uploaded",
        code="several_sheets" if upload.sheet is None else "sheet_not_found",
        field="sheet",
        fix=f"name one of: {', '.join(list(sheets)[:20])}",
        did_you_mean=nearest(upload.sheet or "", sheets),
    )


def _check_format(folder: UploadFolder, upload: Upload) -> None:
    present = folder.formats(upload.dataset_name) if upload.mode == "append" else set()
    ending = f".{upload.file_name.rpartition('.')[2].casefold()}"
    if present and ending not in present:
        raise ConfigError(
            f"the files of the dataset '{upload.dataset_name}' end in {' and '.join(sorted(present))}, so a {ending} "
            "file is not added to them",
            code="format_differs",
            field="file_name",
            fix="upload it in that format, under another dataset name, or with mode `replace`",
        )


async def _name_table(app: App, caller: Caller, stream: Stream, dataset: str) -> None:
    """Have the stream land in the table that is called as the dataset; raises where that is another's."""
    table = TableName(BRONZE, dataset)
    connection = await app.records.connection(caller.tenant, CONNECTION)
    wanted = {**connection.streams.get(stream.id, {}), "target": dataset}
    if connection.streams.get(stream.id) != wanted:
        await app.records.replace_connection(
            caller.tenant,
            connection.id,
            settings=connection.settings,
            secrets={},
            streams={**connection.streams, stream.id: wanted},
        )
    try:
        await app.records.claim_table(caller.tenant, connection.id, stream.id, [table])
    except ConfigError as error:
        raise ConfigError(
            f"another source fills the table {table} already, so nothing was uploaded",
            code=error.code,
            field="dataset_name",
            fix="upload the file under another dataset name",
        ) from error


def _result(run: RunView, incoming: Incoming) -> UploadResult:
    return UploadResult(
        **{name: getattr(run, name) for name in UploadResult.model_fields if hasattr(run, name)},
        size_bytes=incoming.size_bytes,
    )


def _takers(app: App) -> dict[str, type[Uploads]]:
    return {name: cls for name, cls in app.plugins.connectors.items() if issubclass(cls, Uploads)}
