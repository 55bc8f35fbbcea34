"""What a client is told about this server: a command with absolute paths, or an address; never a secret."""

from __future__ import annotations

import re
import sys
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from servicetsunami.sdk import ConfigError

if TYPE_CHECKING:
    from servicetsunami.runtime import LoadedSettings
    from servicetsunami.sdk import Json

COPIED = (
    "home",
    "tenant",
    "sink",
    "use_keyring",
    "plugins_allow",
    "allow_private_addresses",
    "allowed_networks",
    "file_roots",
    "query_timeout_seconds",
    "parallel_reads",
    "worker_memory_mb",
    "worker_silence_seconds",
    "sandbox",
    "evolve",
    "log_level",
    "read_only",
    "secrets_in_tools",
    "secret_references",
    "databricks_host",
    "databricks_warehouse_id",
)
"""The settings that are handed on. Not among them: what is, or may hold, a secret."""
_LEFT_TO_THEIR_FILES = ("default", "user file")
_OF_HTTP = "mcp_"
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}")


def check_name(name: str) -> str:
    """Return the name of a server; raises `ConfigError` for one that not every client takes."""
    if _NAME.fullmatch(name):
        return name
    raise ConfigError(
        "a server's name is 1 to 64 letters, digits, - and _",
        code="name_invalid",
        field="name",
        fix="leave --name out, or give another",
    )


def command_entry(loaded: LoadedSettings) -> Json:
    """Return how to start this server: programs with windows find neither PATH nor the shell's variables."""
    # -P: a client starts servers in a project's folder, and no module of that folder may stand in for ours.
    entry: Json = {"command": sys.executable, "args": ["-P", "-m", "servicetsunami.cli", "serve"]}
    environment = handed_on(loaded)
    return {**entry, "env": environment} if environment else entry


def url_entry(url: str) -> Json:
    """Return how to reach a server over HTTP; raises `ConfigError` for an address that is none or holds a secret."""
    parts = urlsplit(url)
    plain = not (parts.username or parts.password or parts.query or parts.fragment)
    if parts.scheme in ("http", "https") and parts.hostname and plain:
        return {"url": url}
    raise ConfigError(
        "that is no address that can be written down: it begins with http:// or https://, and holds no user, password, "
        "or anything after a ?",
        code="bad_url",
        field="url",
        fix="write it as https://mcp.example.com/mcp; the client asks for a token when it needs one",
    )


def handed_on(loaded: LoadedSettings) -> dict[str, str]:
    """Return the variables that make the server behave as here: what this shell or folder sets, without secrets."""
    from servicetsunami.runtime.settings import variable_of

    values = loaded.settings.model_dump(mode="json")
    return {
        variable_of(name): _text(values[name])
        for name in COPIED
        if _is_set_here(loaded, name) and values[name] is not None
    }


def held_back(loaded: LoadedSettings) -> list[str]:
    """Return the variables that this shell or this folder sets and that are not handed on, as they may hold secrets."""
    from servicetsunami.runtime.settings import Settings, variable_of

    return [
        variable_of(name)
        for name in Settings.model_fields
        if _is_set_here(loaded, name) and name not in COPIED and not name.startswith(_OF_HTTP) and name != "log_format"
    ]


def updated(old: object, new: Json) -> Json:
    """Return an entry that says what `new` says, with what somebody added to the old one by hand."""
    if not isinstance(old, dict):
        return new
    other_way = {"command", "args", "env"} if "url" in new else {"url", "headers"}
    kept = {key: value for key, value in old.items() if key not in other_way and key not in new and key != "env"}
    added = old.get("env") if "command" in new else None
    foreign = _foreign(added, _open_variables())
    environment = {**foreign, **new.get("env", {})}
    return {**new, **({"env": environment} if environment else {}), **kept}


def shown(entry: object) -> object:
    """Return an entry with what others added to it masked, for a person to see."""
    if not isinstance(entry, dict):
        return entry
    open_variables = _open_variables()
    masked = dict(entry)
    for key in ("env", "headers"):
        if isinstance(entry.get(key), dict):
            masked[key] = {name: value if name in open_variables else "***" for name, value in entry[key].items()}
    return masked


def _is_set_here(loaded: LoadedSettings, name: str) -> bool:
    return not loaded.origins[name].startswith(_LEFT_TO_THEIR_FILES)


def _open_variables() -> set[str]:
    from servicetsunami.runtime.settings import variable_of

    return {variable_of(name) for name in COPIED}


def _foreign(environment: object, ours: set[str]) -> Mapping[str, Any]:
    if not isinstance(environment, dict):
        return {}
    return {name: value for name, value in environment.items() if name not in ours}


def _text(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    return ",".join(map(str, value)) if isinstance(value, list) else str(value)
