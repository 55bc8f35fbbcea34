"""Secrets that lie outside our records: a connection names the place, and the secret is read when it is needed.

A model could name any place, and any host to send what lies there to. So only places that match a pattern of the
setting `secret_references` are read, and none of our own.
"""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from servicetsunami.runtime.settings import APPLICATION, SECRETS, VARIABLES
from servicetsunami.sdk import ConfigError, PermanentError

BY_DEFAULT = (f"env:{SECRETS}*", f"keyring:{APPLICATION}/*")
_TENANT = "{tenant}"
_MOST_BYTES = 64 * 1024
_PLACES = {
    "env": re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,254}"),
    "file": re.compile(r"/[^\0-\x1f\x7f]{1,4000}"),
    # Neither slash nor backslash: the master key's entry has a path for a name.
    "keyring": re.compile(r"[\w.@-]{1,100}/[\w.@-]{1,100}"),
}


@dataclass(frozen=True)
class References:
    """What one tenant's connections may refer to; `local` if whoever refers is the person whose machine this is."""

    patterns: Sequence[str]
    """The setting `secret_references`."""
    home: Path
    """The folder of our own files, which nobody may refer to."""
    tenant: str
    local: bool = True

    def resolve(self, field: str, reference: str) -> str:
        """Return the secret a reference leads to.

        Raises `ConfigError` (`secret_reference_not_allowed`), which is the same whether or not something lies there,
        or `PermanentError` (`secret_reference_unresolved`).
        """
        kind, _, place = reference.partition(":")
        if not self._allows(kind, place):
            raise _not_allowed(field, self.local)
        read = {"env": _variable, "file": _file, "keyring": _keyring}[kind]
        try:
            return read(place)
        except _UnreadableError as error:
            raise PermanentError(
                f"the secret '{field}' is not at {reference}, so nothing was dialled",
                code="secret_reference_unresolved",
                why=str(error),
                field=field,
                fix="put the secret there, or connect again with another reference",
            ) from None

    def _allows(self, kind: str, place: str) -> bool:
        well_formed = _PLACES.get(kind)
        if well_formed is None or not well_formed.fullmatch(place) or self._is_ours(kind, place):
            return False
        usual = BY_DEFAULT if self.local else ()
        named = [pattern for pattern in self.patterns or usual if self.local or _TENANT in pattern]
        return any(_expression(pattern, self.tenant).fullmatch(f"{kind}:{place}") for pattern in named)

    def _is_ours(self, kind: str, place: str) -> bool:
        if kind == "env":
            return place.upper() in VARIABLES
        if kind != "file":
            return False
        path = Path(place)
        return os.path.normpath(place) != place or path.is_relative_to(self.home.absolute())


class _UnreadableError(Exception):
    """Says in a few words why a secret could not be read."""


def _expression(pattern: str, tenant: str) -> re.Pattern[str]:
    parts = re.split(r"(\*|\?|\{tenant\})", pattern)
    meaning = {"*": "[^/]*", "?": "[^/]", _TENANT: re.escape(tenant)}
    return re.compile("".join(meaning.get(part, re.escape(part)) for part in parts))


def _variable(name: str) -> str:
    value = os.environ.get(name)
    if value is None:
        raise _UnreadableError("the environment of the server has no such variable")
    return value


def _file(path: str) -> str:
    real, folder = Path(path).resolve(), Path(path).parent
    # Secrets that are mounted are links into a hidden folder beside them, so that all of them change at once.
    if folder.resolve() != folder or not real.is_relative_to(folder):
        raise _UnreadableError("the path leads out of its folder over a symbolic link")
    flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
    try:
        with os.fdopen(os.open(real, flags), "rb") as file:
            if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
                raise _UnreadableError("it is not a regular file")
            content = file.read(_MOST_BYTES + 1)
    except OSError as error:
        raise _UnreadableError(error.strerror or "the file cannot be read") from None
    if len(content) > _MOST_BYTES:
        raise _UnreadableError(f"the file is larger than {_MOST_BYTES // 1024} KiB")
    try:
        return content.decode("utf-8").removesuffix("\n").removesuffix("\r")
    except UnicodeDecodeError:
        raise _UnreadableError("the file is not text in UTF-8") from None


def _keyring(place: str) -> str:
    try:
        import keyring
        from keyring.errors import KeyringError
    except ImportError:
        raise _UnreadableError("the package for keyrings is not installed: servicetsunami[keyring]") from None
    service, _, name = place.partition("/")
    try:
        value = keyring.get_password(service, name)
    except KeyringError:
        raise _UnreadableError("the system's keyring did not answer") from None
    if value is None:
        raise _UnreadableError("the system's keyring has no such entry")
    return value


def _not_allowed(field: str, local: bool) -> ConfigError:
    named = "env:SHOP_* or file:/run/secrets/*" if local else "file:/run/secrets/{tenant}/*"
    return ConfigError(
        f"the secret '{field}' may not be taken from where the reference leads, so nothing was connected",
        code="secret_reference_not_allowed",
        field=field,
        fix="refer to env:NAME, file:/PATH or keyring:SERVICE/NAME that whoever runs the server allowed with "
        f"TSUNAMI_SECRET_REFERENCES, such as {named}",
    )
