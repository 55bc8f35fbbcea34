"""Links that a file is uploaded by, once, within some minutes, by whoever has the link."""

from __future__ import annotations

import json
import secrets
import time
from collections.abc import AsyncIterator
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from servicetsunami.operations.answers.seals import Seal
from servicetsunami.operations.caller import Caller
from servicetsunami.operations.read_only import changing
from servicetsunami.operations.uploads.models import UploadResult
from servicetsunami.operations.uploads.uploading import Upload, check, upload_parts
from servicetsunami.sdk import ConfigError, NotFound

if TYPE_CHECKING:
    from servicetsunami.operations.app import App
    from servicetsunami.operations.connecting import Door

PURPOSE = "upload-link/v1"
PATH = "uploads/"
"""Where links lead, beside the server's endpoint."""
LASTS = timedelta(minutes=30)


@dataclass(frozen=True)
class Allowed:
    """What a link allows: one upload, for whom it was made."""

    tenant: str
    subject: str
    upload: Upload
    expires: int
    nonce: str


@changing("no file is taken")
async def make_link(app: App, caller: Caller, upload: Upload) -> tuple[str, datetime]:
    """Return the token of a new link, which says all there is to know of it, and until when it serves."""
    expires = int(time.time() + LASTS.total_seconds())
    allowed = Allowed(caller.tenant, caller.subject, upload, expires, secrets.token_hex(16))
    body = json.dumps(asdict(allowed), separators=(",", ":")).encode()
    return (await _seal(app)).text(body), datetime.fromtimestamp(expires, UTC)


@changing("no file is taken")
async def offer_link(app: App, caller: Caller, upload: Upload, door: Door | None) -> UploadResult:
    """Return a link to upload a file by; raises what is wrong with its names, and `ConfigError` (`no_door`)."""
    upload = check(app, upload)
    if door is None:
        raise ConfigError(
            "this server has no address that a file could be sent to",
            code="no_door",
            field="file_content",
            fix=f"run: tsunami upload FILE --as {upload.dataset_name}",
        )
    token, expires = await make_link(app, caller, upload)
    return UploadResult(
        status="needs_upload",
        upload_url=await door.upload_url(token),
        expires_at=expires,
        message=f"Send the file there by PUT, or open the link in a browser; at most {app.settings.max_upload_mb} MiB.",
    )


async def allowed_by(app: App, token: str) -> Allowed:
    """Return what a link allows; raises `NotFound` (`link_expired`) for one that is not ours or too old."""
    body = (await _seal(app)).opened(token)
    if body is None:
        raise _gone()
    said = json.loads(body)
    allowed = Allowed(**{**said, "upload": Upload(**said["upload"])})
    if allowed.expires <= time.time():
        raise _gone()
    return allowed


@changing("no file is taken")
async def receive_by_link(app: App, token: str, parts: AsyncIterator[bytes]) -> UploadResult:
    """Take a file that comes by a link, which serves no more once a whole file has come.

    A front serves it at `uploads/{token}` beside its endpoint. Raises `NotFound` (`link_expired`) and what
    `upload_file` raises; after an error the link still serves, so that another file can be tried.
    """
    allowed = await allowed_by(app, token)
    caller = Caller(allowed.tenant, local=False, subject=allowed.subject, scopes=frozenset(("read", "sync")))

    async def use_up() -> None:
        until = datetime.fromtimestamp(allowed.expires, UTC)
        if not await app.records.spend(f"{PURPOSE}/{allowed.nonce}", until=until):
            raise _gone()

    return await upload_parts(app, caller, allowed.upload, parts, before_placing=use_up)


async def _seal(app: App) -> Seal:
    return Seal(await app.records.derived_key(PURPOSE), (PURPOSE,))


def _gone() -> NotFound:
    return NotFound(
        "this link leads nowhere (any more): a link takes one file and lasts some minutes",
        code="link_expired",
        fix="ask for another one with upload_file",
    )
