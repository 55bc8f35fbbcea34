"""Gathering a connection's settings: from options, files, the environment, and a person at a terminal."""

from __future__ import annotations

import os
import sys
from dataclasses import dataclass
from getpass import getpass
from pathlib import Path
from typing import Any

import typer
from pydantic import SecretStr, TypeAdapter, ValidationError
from pydantic.fields import FieldInfo

from servicetsunami.cli.options import pairs
from servicetsunami.sdk import ConfigError, Json, NotFound, Source, nearest, secret_fields


@dataclass(frozen=True)
class Given:
    """What the options of `tsunami connect` said."""

    settings: dict[str, list[str]]
    """Texts by name; several where `--set` was repeated."""
    secrets: dict[str, str]
    streams: Json
    secret_refs: dict[str, str]
    """Where secrets lie, by name."""

    @classmethod
    def parse(
        cls,
        *,
        settings: list[str] | None = None,
        secret_env: list[str] | None = None,
        secret_stdin: str | None = None,
        secret: list[str] | None = None,
        stream: list[str] | None = None,
    ) -> Given:
        """Read the options; raises `ConfigError` for one that is not well formed."""
        repeated: dict[str, list[str]] = {}
        for name, text in pairs("--set", settings):
            repeated.setdefault(name, []).append(_text(text))
        secrets = {name: _from_environment(variable) for name, variable in pairs("--secret-env", secret_env)}
        if secret_stdin:
            secrets[secret_stdin] = sys.stdin.read().removesuffix("\n").removesuffix("\r")
        return cls(repeated, secrets, _streams(stream), dict(pairs("--secret", secret)))


def gather(connector: type[Source[Any]], given: Given) -> Json:
    """Return the settings by name; at a terminal, ask for the secrets and whatever else is missing."""
    fields, secret = connector.config_type.model_fields, secret_fields(connector.config_type)
    _refuse_open_secrets(given, secret)
    _refuse_unknown_secrets(given, secret)
    config: Json = {name: _value(fields.get(name), texts) for name, texts in given.settings.items()}
    config |= given.secrets
    missing = {name: field for name, field in fields.items() if name not in config and name not in given.secret_refs}
    if sys.stdin.isatty():
        return config | _ask(missing, secret)
    _require_secrets([name for name, field in missing.items() if name in secret and field.is_required()])
    return config


def _refuse_open_secrets(given: Given, secret: tuple[str, ...]) -> None:
    for name in secret:
        if name in given.settings:
            raise ConfigError(
                f"'{name}' is a secret, so it is not taken from --set: others can read the command line",
                code="secret_on_command_line",
                field=name,
                fix=f"leave it out and type it when asked, or use {_other_ways(name)}",
            )


def _refuse_unknown_secrets(given: Given, secret: tuple[str, ...]) -> None:
    for name in (*given.secrets, *given.secret_refs):
        if name not in secret:
            raise ConfigError(
                f"this connector has no secret '{name}'",
                code="unknown_setting",
                field=name,
                fix=f"its secrets are: {', '.join(secret) or 'none'}",
                did_you_mean=nearest(name, secret),
            )


def _require_secrets(missing: list[str]) -> None:
    if missing:
        raise ConfigError(
            f"the secret '{missing[0]}' is missing and there is no terminal to ask for it",
            code="missing_secret",
            field=missing[0],
            fix=f"use {_other_ways(missing[0])}",
        )


def _ask(missing: dict[str, FieldInfo], secret: tuple[str, ...]) -> Json:
    answers: Json = {}
    for name, field in missing.items():
        if name in secret and _is_asked(field):
            answers[name] = getpass(f"{name} (not shown): ", stream=sys.stderr)
        elif name not in secret and field.is_required():
            answers[name] = _line(f"{name} ({(field.description or 'required').rstrip('.')}): ")
    return answers


def _line(question: str) -> str:
    # input() and typer.prompt() write to standard output, which is for data.
    sys.stderr.write(question)
    sys.stderr.flush()
    answer = sys.stdin.readline()
    if not answer:
        raise typer.Abort
    return answer.strip()


def _is_asked(field: FieldInfo) -> bool:
    # A secret that is empty by default, such as a password, is seldom meant to be; one that is None is rarely used.
    return field.is_required() or isinstance(field.default, SecretStr)


def _value(field: FieldInfo | None, texts: list[str]) -> Any:
    """Return a setting as JSON; what does not fit its type stays text, for the connector to refuse by name."""
    text: Any = texts[0] if len(texts) == 1 else texts
    if field is None or field.annotation is None:
        return text
    for candidate in (text, texts):
        try:
            kind: TypeAdapter[Any] = TypeAdapter(field.annotation)
            return kind.dump_python(kind.validate_python(candidate), mode="json")
        except ValidationError:
            continue
    return text


def _from_environment(variable: str) -> str:
    value = os.environ.get(variable)
    if value is None:
        raise ConfigError(
            f"the environment variable '{variable}', which --secret-env names, is not set",
            code="missing_secret",
            field=variable,
            fix=f"set {variable} and try again",
        )
    return value


def _other_ways(name: str) -> str:
    return f"--secret-env {name}=VARIABLE, --secret-stdin {name} or --secret {name}=file:/PATH"


def _text(given: str) -> str:
    """Return a value, or the text of the file that `@PATH` names; `@@` begins a value that begins with `@`."""
    if not given.startswith("@") or given.startswith("@@"):
        return given.removeprefix("@")
    path = given[1:]
    try:
        return Path(path).expanduser().read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        why = error.strerror if isinstance(error, OSError) else "it is not text in UTF-8"
        raise NotFound(
            f"the file '{path}', which --set-file names, cannot be read",
            code="file_not_read",
            why=why,
            fix="correct it",
        ) from None


def _streams(texts: list[str] | None) -> Json:
    streams: Json = {}
    for left, value in pairs("--stream", texts):
        table, colon, name = left.rpartition(":")
        if not colon or not table:
            raise ConfigError(
                f"--stream '{left}=...' names no table, so nothing was done",
                code="bad_pair",
                field="--stream",
                fix="write it as TABLE:NAME=VALUE, such as public.orders:cursor=updated_at",
            )
        streams.setdefault(table, {})[name] = _stream_value(name, value)
    return streams


def _stream_value(name: str, value: str) -> Any:
    """Read a list as `a,b` and a set of pairs as `a:x,b:y`; anything else is checked where it is stored."""
    if name in ("rename", "mask"):
        return {left: right for left, _, right in (pair.rpartition(":") for pair in value.split(","))}
    return value.split(",") if name in ("key", "columns", "exclude", "hash") else value
