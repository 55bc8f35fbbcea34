"""Turning other libraries' refusals into our own errors, without the values they refused."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from pydantic import ValidationError

from servicetsunami.sdk import ConfigError, Sink, Source, nearest


def first_problem(error: ValidationError) -> tuple[tuple[int | str, ...], str]:
    """Return where the first fault is and what is wrong, without the value that was refused."""
    fault = error.errors(include_input=False, include_url=False, include_context=False)[0]
    return fault["loc"], str(fault["msg"])


def config_error(
    error: ValidationError, cls: type[Source[Any] | Sink[Any]], *, besides: Collection[str] = ()
) -> ConfigError:
    """Return the first fault of a plugin's settings as an error that names the field and what is wrong with it.

    Faults of the fields in `besides` come last.
    """
    faults = error.errors(include_input=False, include_url=False, include_context=False)
    fault = min(faults, key=lambda fault: bool(fault["loc"]) and fault["loc"][0] in besides)
    field = ".".join(str(part) for part in fault["loc"]) or "config"
    known = cls.config_type.model_fields
    if fault["type"] == "extra_forbidden":
        return ConfigError(
            f"{cls.title or cls.name} has no setting '{field}'",
            code="unknown_setting",
            field=field,
            fix=f"use one of: {', '.join(known)}",
            did_you_mean=nearest(field, known),
        )
    if fault["type"] == "missing":
        return ConfigError(
            f"the setting '{field}' of {cls.title or cls.name} is missing",
            code="missing_setting",
            field=field,
            fix=f"give '{field}': {known[field].description or 'see the connector page'}",
        )
    return ConfigError(
        f"the setting '{field}' of {cls.title or cls.name} is not valid: {fault['msg']}",
        code="invalid_setting",
        field=field,
        fix=f"correct '{field}' and try again",
    )
