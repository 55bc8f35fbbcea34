"""The server: a thread for each connection, whole control over what is sent, faults included."""

from __future__ import annotations

import socket
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from io import BytesIO
from time import sleep
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

from servicetsunami_lookalike.faults import Fault
from servicetsunami_lookalike.http import routes, thrift
from servicetsunami_lookalike.http.messages import ApiError, Request, Response
from servicetsunami_lookalike.sql.errors import SqlError
from servicetsunami_lookalike.workspace import Workspace

_STATUS = {"INSUFFICIENT_PERMISSIONS": 403, "INVALID_PARAMETER_VALUE": 400}
_REFUSALS = {
    "unavailable": (503, "TEMPORARILY_UNAVAILABLE"),
    "throttled": (429, "REQUEST_LIMIT_EXCEEDED"),
    "broken": (500, "INTERNAL_ERROR"),
    "expired": (401, "UNAUTHENTICATED"),
}


class Server(ThreadingHTTPServer):
    """Serves one workspace on loopback."""

    daemon_threads = True

    def __init__(self, workspace: Workspace, port: int = 0) -> None:
        super().__init__(("127.0.0.1", port), Handler)
        self.workspace = workspace
        workspace.base_url = f"http://127.0.0.1:{self.server_address[1]}"

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say nothing of clients that went away."""


class Handler(BaseHTTPRequestHandler):
    """Reads a request, lets it be answered or go wrong, and writes what came of it."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    wbufsize = -1
    server: Server

    def log_message(self, format: str, *args: Any) -> None:
        """Log nothing: a command that serves says what it must by itself."""

    def _handle(self) -> None:
        request = self._request()
        body, label = b"", f"{request.method} {request.path}"
        if request.method == "POST" and request.path.startswith("/sql/1.0/warehouses/"):
            body = request.body()
            label = thrift.label_of(body)
        fault = self.server.workspace.faults.of(label)
        if fault is not None and fault.kind in _REFUSALS:
            self._write(_refused(fault))
            self.close_connection = True  # the body may not have been read
            return
        if fault is not None and fault.kind == "lost_request":
            self._cut()
            return
        response = self._answer(request, body, fault)
        if fault is not None and fault.kind == "lost_answer":
            self._cut()
            return
        self._write(response, head=request.method == "HEAD")

    do_GET = do_POST = do_PUT = do_DELETE = do_PATCH = do_HEAD = _handle

    def _answer(self, request: Request, body: bytes, fault: Fault | None) -> Response:
        workspace = self.server.workspace
        delay = fault.seconds if fault is not None and fault.kind == "slow" else 0.0
        try:
            if body:
                principal = workspace.principal(request.headers.get("authorization", ""))
                answered = thrift.call(workspace, principal, body, delay)
                return Response(200, answered, {"content-type": "application/x-thrift"})
            sleep(delay)
            return routes.answer(workspace, request)
        except ApiError as error:
            return error.response()
        except SqlError as error:
            return ApiError(_STATUS.get(error.name, 404), error.name, str(error)).response()

    def _request(self) -> Request:
        found = urlsplit(self.path)
        headers = {name.casefold(): value for name, value in self.headers.items()}
        length = int(headers.get("content-length") or 0)
        stream: Any = self.rfile
        if headers.get("transfer-encoding", "").casefold() == "chunked":
            data = self._chunks()
            stream, length = BytesIO(data), len(data)
        query = dict(parse_qsl(found.query))
        return Request(self.command, unquote(found.path), query, headers, stream, length)

    def _chunks(self) -> bytes:
        pieces = []
        while size := int(self.rfile.readline().strip() or b"0", 16):
            pieces.append(self.rfile.read(size))
            self.rfile.readline()
        self.rfile.readline()
        return b"".join(pieces)

    def _write(self, response: Response, *, head: bool = False) -> None:
        self.send_response(response.status)
        headers = {"content-length": str(len(response.body)), **response.headers}
        if response.status == 204:
            headers.pop("content-length")
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()
        if not head:
            self.wfile.write(response.body)
        self.wfile.flush()

    def _cut(self) -> None:
        """End the connection without a word."""
        self.close_connection = True
        self.connection.shutdown(socket.SHUT_RDWR)


def _refused(fault: Fault) -> Response:
    status, code = _REFUSALS[fault.kind]
    headers = {"retry-after": f"{fault.seconds:g}"} if status in (429, 503) else {}
    return ApiError(status, code, f"a fault was asked for: {fault.kind}", headers).response()
