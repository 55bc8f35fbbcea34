"""Listing and opening objects as if they were files: the same two calls the host has for folders."""

from __future__ import annotations

import io
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cached_property
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any, BinaryIO, cast

from servicetsunami.sdk import (
    AuthError,
    ConfigError,
    Context,
    FileEntry,
    NotFound,
    PermissionDenied,
    TransientError,
    TsunamiError,
)
from servicetsunami_files.config import FilesConfig
from servicetsunami_files.remote.gate import Gate
from servicetsunami_files.remote.stores import open_store

if TYPE_CHECKING:
    from obstore.store import ObjectStore

_MOST_OBJECTS = 100_000
_BUFFER = 8 << 20


class RemoteFiles:
    """The objects below one location; `close()` ends every connection."""

    def __init__(self, config: FilesConfig, ctx: Context) -> None:
        self._config = config
        self._ctx = ctx
        self._gate = Gate(ctx.dial)

    def list_files(self, _location: str) -> Iterator[FileEntry]:
        """Yield the object at the location, or those below it, by path."""
        import obstore

        store, path = self._store
        found = []
        with self._typed():
            for part in obstore.list(store, prefix=path or None):
                found += [one for one in part if one["size"] or not one["path"].endswith("/")]
                if len(found) > _MOST_OBJECTS:
                    raise _too_many()
            if not found and path:
                found = [cast("Any", obstore.head(store, path))]
        for one in sorted(found, key=lambda one: str(one["path"])):
            yield FileEntry(_below(one["path"], path), one["size"], int(one["last_modified"].timestamp() * 1e9))

    def open_file(self, path: str) -> BinaryIO:
        """Open an object, to be read from any place; its version is looked at before and after."""
        import obstore

        store, base = self._store
        inner = path.removeprefix(self._config.location.rstrip("/")).strip("/")
        name = str(PurePosixPath(base, inner)) if inner else base
        with self._typed():
            meta = obstore.head(store, name)
            reader = obstore.open_reader(store, name, buffer_size=_BUFFER, size=meta["size"])
        return cast("BinaryIO", io.BufferedReader(_Object(self, store, name, reader), _BUFFER))

    def close(self) -> None:
        """Cut every connection."""
        self._gate.close()

    @cached_property
    def _store(self) -> tuple[ObjectStore, str]:
        return open_store(self._config, self._ctx, self._gate.url)

    @contextmanager
    def _typed(self) -> Iterator[None]:
        """Raise what the library raises as typed errors; its own words may hold an address with a signature."""
        from obstore import exceptions

        try:
            yield
        except exceptions.BaseError as error:
            raise self._gate.refusal or _typed(error) from None
        except FileNotFoundError:
            raise _missing() from None

    def state_of(self, store: ObjectStore, name: str) -> tuple[Any, ...]:
        """Return what tells one version of an object from another."""
        import obstore

        with self._typed():
            meta = obstore.head(store, name)
        return meta["size"], meta.get("e_tag"), meta.get("version"), meta["last_modified"]


class _Object(io.RawIOBase):
    """An object as a file."""

    def __init__(self, files: RemoteFiles, store: ObjectStore, name: str, reader: Any) -> None:
        self._files = files
        self._store = store
        self._name = name
        self._reader = reader

    @property
    def state(self) -> tuple[Any, ...]:
        """What tells this version from another."""
        return self._files.state_of(self._store, self._name)

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        view = memoryview(buffer).cast("B")
        with self._files._typed():
            data = bytes(self._reader.read(len(view)))
        view[: len(data)] = data
        return len(data)

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        with self._files._typed():
            return int(self._reader.seek(offset, whence))

    def tell(self) -> int:
        return int(self._reader.tell())


def _below(path: str, base: str) -> str:
    return "" if path == base else path.removeprefix(base).strip("/")


def _typed(error: Exception) -> TsunamiError:
    from obstore import exceptions

    text = str(error)
    if isinstance(error, exceptions.NotFoundError) or "NoSuchBucket" in text or "ContainerNotFound" in text:
        return _missing()
    if isinstance(error, exceptions.UnauthenticatedError) or "InvalidAccessKeyId" in text or "SignatureDoesNot" in text:
        return AuthError(
            "the store does not accept the credentials, so nothing can be read",
            code="credentials_refused",
            field="location",
            fix="check the keys in the settings; temporary ones may have expired",
        )
    if isinstance(error, exceptions.PermissionDeniedError) or "AccessDenied" in text or "403" in text:
        return PermissionDenied(
            "the credentials may not list or read this",
            code="permission_denied",
            field="location",
            fix="give them the right to list the bucket and to read its objects",
        )
    return TransientError("the store did not answer as it should", code="store_error", why=type(error).__name__)


def _missing() -> NotFound:
    return NotFound(
        "there is no such bucket or object",
        code="object_not_found",
        field="location",
        fix="check the names: they tell upper and lower case apart",
    )


def _too_many() -> ConfigError:
    return ConfigError(
        f"there are more than {_MOST_OBJECTS:,} objects below the location, so they are not listed",
        code="too_many_files",
        field="location",
        fix="name a folder further down",
    )
