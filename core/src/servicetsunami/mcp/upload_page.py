"""Where files are uploaded to: by PUT from a program, or by the page behind the same link from a browser."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from html import escape
from typing import TYPE_CHECKING

from python_multipart.exceptions import MultipartParseError
from python_multipart.multipart import MultipartParser, parse_options_header
from starlette.responses import HTMLResponse, JSONResponse, Response
from starlette.routing import Route

from servicetsunami.mcp.secret_page.page import HEADERS, framed
from servicetsunami.mcp.secret_page.routes import is_foreign, is_served
from servicetsunami.operations.uploads.links import PATH, Allowed, allowed_by, receive_by_link
from servicetsunami.operations.uploads.models import UploadResult
from servicetsunami.sdk import ConfigError, NotFound, TransientError, TsunamiError

if TYPE_CHECKING:
    from python_multipart.multipart import MultipartCallbacks
    from starlette.requests import Request

    from servicetsunami.operations.app import App

_FORM = b"multipart/form-data"
_NOBODY_KEEPS = {"Cache-Control": "no-store", "Referrer-Policy": "no-referrer", "X-Content-Type-Options": "nosniff"}
_STATUS = {NotFound: 404, TransientError: 503}


def upload_routes(app: App, hosts: Sequence[str]) -> list[Route]:
    """Return the route that links lead to; `hosts` are the values of `Host` that are served."""

    async def upload(request: Request) -> Response:
        if not is_served(request.headers.get("host", ""), hosts):
            return Response(status_code=421)
        token = request.path_params["token"]
        if request.method == "PUT":
            return await _put(app, request, token)
        return await _page(app, request, token)

    return [Route(f"/{PATH}{{token}}", upload, methods=["GET", "PUT", "POST"])]


async def _put(app: App, request: Request, token: str) -> Response:
    try:
        result = await receive_by_link(app, token, _raw(app, request))
    except TsunamiError as error:
        told = {"kind": error.default_code, **error.problem().model_dump(mode="json", exclude_none=True)}
        return JSONResponse({"error": app.redactor.value(told)}, _status(error), _NOBODY_KEEPS)
    return JSONResponse(result.model_dump(mode="json", exclude_none=True), 200, _NOBODY_KEEPS)


async def _page(app: App, request: Request, token: str) -> Response:
    try:
        if request.method == "GET":
            return _html(_form(await allowed_by(app, token)))
        if is_foreign(request):
            return _html(framed("Not taken", ["<p>The form came from another site.</p>"]), 403)
        return _html(_taken(await receive_by_link(app, token, _file_of(request))))
    except TsunamiError as error:
        problem = error.problem()
        told = [f"<p>{escape(line)}</p>" for line in (problem.message, problem.why, problem.fix) if line]
        return _html(framed("Not taken", told), _status(error))


async def _raw(app: App, request: Request) -> AsyncIterator[bytes]:
    """Yield the body; one that says that it is too long is refused before it is read."""
    from servicetsunami.operations.uploads.folder import too_large

    most = app.settings.max_upload_mb << 20
    said = request.headers.get("content-length", "")
    if said.isdigit() and int(said) > most:
        raise too_large(most)
    async for part in request.stream():
        yield part


async def _file_of(request: Request) -> AsyncIterator[bytes]:
    """Yield the content of the one file in a form, as it comes."""
    kind, options = parse_options_header(request.headers.get("content-type", ""))
    if kind != _FORM or b"boundary" not in options:
        raise _bad_form()
    form = _Form()
    parser = MultipartParser(options[b"boundary"], form.callbacks)
    try:
        async for part in request.stream():
            parser.write(part)
            for data in form.taken():
                yield data
        parser.finalize()
    except MultipartParseError as error:
        raise _bad_form() from error


class _Form:
    """What is read of a form with one file."""

    def __init__(self) -> None:
        self._parts = 0
        self._found: list[bytes] = []
        self.callbacks: MultipartCallbacks = {"on_part_begin": self._begin, "on_part_data": self._data}

    def taken(self) -> list[bytes]:
        """Return what was found since the last call."""
        found, self._found = self._found, []
        return found

    def _begin(self) -> None:
        self._parts += 1
        if self._parts > 1:
            raise _bad_form()

    def _data(self, data: bytes, start: int, end: int) -> None:
        self._found.append(data[start:end])


def _bad_form() -> ConfigError:
    return ConfigError("that is no form with one file", code="bad_form", fix="use the form on the page, or PUT")


def _form(allowed: Allowed) -> str:
    upload = allowed.upload
    file_input = f'<label>{escape(upload.file_name)}<input type="file" name="file" required></label>'
    whose = f"tenant {escape(allowed.tenant)}, for {escape(allowed.subject)}; mode {escape(upload.mode)}"
    parts = [
        f"<p>The file becomes the table <strong>{escape(upload.dataset_name)}</strong> of {whose}.</p>",
        f'<form method="post" enctype="multipart/form-data">{file_input}<button>Upload</button></form>',
    ]
    return framed("Upload a file", parts)


def _taken(result: UploadResult) -> str:
    state = f"{result.rows:,} rows are in {result.bronze_table}" if result.status == "succeeded" else result.status
    failure = [f"<p>{escape(result.problem.message)}</p>"] if result.problem else []
    return framed("Uploaded", [f"<p>{escape(state)}. You can close this page and go back.</p>", *failure])


def _status(error: TsunamiError) -> int:
    return next((status for cls, status in _STATUS.items() if isinstance(error, cls)), 422)


def _html(page: str, status: int = 200) -> Response:
    return HTMLResponse(page, status, HEADERS)
