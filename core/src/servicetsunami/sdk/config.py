"""Settings of a plugin: a frozen Pydantic model whose secrets are `SecretStr`."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, ClassVar, get_args

from pydantic import BaseModel, ConfigDict, SecretBytes, SecretStr

from servicetsunami.sdk.errors import ConfigError


class Config(BaseModel):
    """Base of every plugin's settings.

    Unknown fields are refused, and no error echoes the value it refuses. A field of type `SecretStr` is encrypted at
    rest, masked wherever the settings are printed and never given back by any front. It is a field of the settings
    themselves, never of a model within them.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)

    identity: ClassVar[tuple[str, ...]] = ()
    """Fields that say which source this is; () for all that are not secret. If one changes, a sync begins anew."""


def secret_fields(config_type: type[BaseModel]) -> tuple[str, ...]:
    """Name the fields of `config_type` that hold a secret, in the order of their declaration.

    Raises `ConfigError` for a secret within a nested model: the host stores and masks whole fields, so it would lie
    open among the other settings.
    """
    nested = next((path for path in _secret_paths(config_type, ()) if "." in path), None)
    if nested is not None:
        raise ConfigError(
            f"the secret '{nested}' of {config_type.__name__} lies within a nested model, where it is not encrypted",
            code="nested_secret",
            field=nested,
            fix="make it a field of the settings themselves",
        )
    return tuple(_secret_paths(config_type, ()))


def _secret_paths(config_type: type[BaseModel], within: tuple[type[BaseModel], ...]) -> Iterator[str]:
    for name, field in config_type.model_fields.items():
        parts = list(_parts(field.annotation))
        if any(part in (SecretStr, SecretBytes) for part in parts):
            yield name
        for part in parts:
            if isinstance(part, type) and issubclass(part, BaseModel) and part not in within:
                yield from (f"{name}.{path}" for path in _secret_paths(part, (*within, part)))


def _parts(annotation: Any) -> Iterator[Any]:
    """Yield the types an annotation is made of: itself, and those of its union, its list or its mapping."""
    yield annotation
    for part in get_args(annotation):
        yield from _parts(part)
