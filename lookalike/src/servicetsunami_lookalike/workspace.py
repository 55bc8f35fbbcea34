"""A workspace: its catalogs, who may enter, and what is under way."""

from __future__ import annotations

import secrets
import shutil
import tempfile
import threading
import time
import uuid
from dataclasses import dataclass
from pathlib import Path

from servicetsunami_lookalike.faults import Faults
from servicetsunami_lookalike.grants import Principal
from servicetsunami_lookalike.http.messages import ApiError
from servicetsunami_lookalike.operations import Operation
from servicetsunami_lookalike.sql.catalogs import Catalogs
from servicetsunami_lookalike.sql.session import Session

_TOKEN_SECONDS = 3600
_OFFER_SECONDS = 900


@dataclass
class Token:
    """An access token: whose it is, and until when (seconds since 1970; None for ever)."""

    principal: Principal
    until: float | None = None


class Workspace:
    """All that a server holds; it lives in a folder that goes with it."""

    def __init__(self) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="lookalike-"))
        self.base_url = ""
        self.faults = Faults()
        self.catalogs = Catalogs(self.folder)
        self.clients: dict[str, tuple[str, Principal]] = {}
        """OAuth clients: their secret, and who they are."""
        self.notebooks: dict[str, tuple[str, bytes]] = {}
        """Language and source, by path."""
        self._tokens: dict[str, Token] = {}
        self._sessions: dict[uuid.UUID, Session] = {}
        self._operations: dict[uuid.UUID, Operation] = {}
        self._offers: dict[str, bytes] = {}
        self._uploads: dict[str, str] = {}
        self._lock = threading.Lock()

    def close(self) -> None:
        """End what runs and remove the folder."""
        for operation in list(self._operations.values()):
            operation.stop()
        self.catalogs.close()
        shutil.rmtree(self.folder, ignore_errors=True)

    def add_token(self, token: str, name: str, *, admin: bool = False, seconds: float | None = None) -> None:
        """Let in whoever has this token, as `name`."""
        self._tokens[token] = Token(Principal(name, admin), None if seconds is None else time.time() + seconds)

    def add_client(self, client_id: str, secret: str, *, admin: bool = False) -> None:
        """Let a service principal ask for tokens by OAuth; its name is its id."""
        self.clients[client_id] = (secret, Principal(client_id, admin))

    def issue(self, client_id: str, secret: str) -> tuple[str, int]:
        """Give a client a token, and the seconds it lasts; raises where the secret is wrong."""
        known, principal = self.clients.get(client_id, ("", Principal("")))
        if not known or not secrets.compare_digest(known, secret):
            raise ApiError(401, "invalid_client", "Client authentication failed")
        token = secrets.token_urlsafe(24)
        self._tokens[token] = Token(principal, time.time() + _TOKEN_SECONDS)
        return token, _TOKEN_SECONDS

    def expire_tokens(self) -> None:
        """End every token that OAuth gave out."""
        for token in self._tokens.values():
            if token.until is not None:
                token.until = 0.0

    def principal(self, authorization: str) -> Principal:
        """Return whom a request speaks for; raises for a token that is unknown or over."""
        kind, _, token = authorization.partition(" ")
        found = self._tokens.get(token) if kind.casefold() == "bearer" else None
        if found is None:
            raise ApiError(401, "UNAUTHENTICATED", "Credential was not sent or was of an unsupported type")
        if found.until is not None and found.until < time.time():
            raise ApiError(401, "UNAUTHENTICATED", "Token is expired")
        return found.principal

    def open_session(
        self, principal: Principal, catalog: str | None, schema: str | None, settings: dict[str, str]
    ) -> uuid.UUID:
        """Open a session and return its id."""
        session = Session(self.catalogs, principal, settings=settings, base_url=self.base_url)
        if catalog:
            session.catalog = catalog.casefold()
        if schema:
            session.schema = schema.casefold()
        found = uuid.uuid4()
        self._sessions[found] = session
        return found

    def session(self, found: uuid.UUID) -> Session:
        """Return an open session."""
        if found not in self._sessions:
            raise ApiError(404, "RESOURCE_DOES_NOT_EXIST", "there is no such session")
        return self._sessions[found]

    def close_session(self, found: uuid.UUID) -> None:
        """End a session with its statements."""
        session = self._sessions.pop(found, None)
        for operation in [one for one in list(self._operations.values()) if one.session is session]:
            self.forget(operation.id)

    def start(self, operation: Operation, delay: float = 0.0) -> None:
        """Begin a statement."""
        with self._lock:
            self._operations[operation.id] = operation
        operation.start(delay)

    def operation(self, found: uuid.UUID) -> Operation:
        """Return a statement that runs or was not closed."""
        if found not in self._operations:
            raise ApiError(404, "RESOURCE_DOES_NOT_EXIST", "there is no such statement")
        return self._operations[found]

    def forget(self, found: uuid.UUID) -> None:
        """End a statement and drop what came of it."""
        operation = self._operations.pop(found, None)
        if operation is not None:
            operation.stop()

    def offer(self, data: bytes) -> tuple[str, int]:
        """Put data up for download; return its address, and until when it is there."""
        name = secrets.token_urlsafe(18)
        self._offers[name] = data
        return f"{self.base_url}/offers/{name}", int(time.time()) + _OFFER_SECONDS

    def offered(self, name: str) -> bytes:
        """Return what was put up under this name; raises if it is over."""
        if name not in self._offers:
            raise ApiError(403, "AccessDenied", "Request has expired")
        return self._offers[name]

    def withdraw_offers(self) -> None:
        """Let every address of a download be over."""
        self._offers.clear()

    def begin_upload(self, path: str) -> str:
        """Begin an upload in parts; return what names it."""
        token = secrets.token_urlsafe(18)
        self._uploads[token] = path
        return token

    def upload_folder(self, token: str, path: str) -> Path:
        """Return where the parts of an upload lie."""
        if self._uploads.get(token) != path:
            raise ApiError(404, "NOT_FOUND", "there is no such upload")
        return self.folder / "uploads" / token

    def end_upload(self, token: str) -> None:
        """Forget an upload and its parts."""
        self._uploads.pop(token, None)
        shutil.rmtree(self.folder / "uploads" / token, ignore_errors=True)
