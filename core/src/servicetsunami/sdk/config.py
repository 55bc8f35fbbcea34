"""Settings of a plugin: a frozen Pydantic model whose secrets are `SecretStr`."""

from __future__ import annotations

from typing import Any, ClassVar, get_args

from pydantic import BaseModel, ConfigDict, SecretBytes, SecretStr


class Config(BaseModel):
    """Base of every plugin's settings.

    Unknown fields are refused, and no error echoes the value it refuses. A field of type `SecretStr` is encrypted at
    rest, masked wherever the settings are printed and never given back by any front.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)

    identity: ClassVar[tuple[str, ...]] = ()
    """Fields that say which source this is; () for all that are not secret. If one changes, a sync begins anew."""


def secret_fields(config_type: type[BaseModel]) -> tuple[str, ...]:
    """Name the fields of `config_type` that hold a secret, in the order of their declaration."""
    return tuple(name for name, field in config_type.model_fields.items() if _holds_secret(field.annotation))


def _holds_secret(annotation: Any) -> bool:
    if annotation in (SecretStr, SecretBytes):
        return True
    return any(_holds_secret(part) for part in get_args(annotation))
