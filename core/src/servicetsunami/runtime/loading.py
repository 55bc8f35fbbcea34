"""Loading the settings: flag, then environment, `.env`, project file, user file, default; the first to speak wins."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, get_args

from pydantic import ValidationError

from servicetsunami.runtime.layers import (
    DOTENV_NAME,
    FILE_NAME,
    Layer,
    folders,
    from_dotenv,
    from_environment,
    from_file,
    from_flags,
    user_file,
)
from servicetsunami.runtime.settings import Settings
from servicetsunami.sdk import ConfigError, nearest


@dataclass(frozen=True)
class LoadedSettings:
    """The settings in force, and where each came from."""

    settings: Settings
    origins: Mapping[str, str]
    """By name: `flag`, `environment TSUNAMI_X`, `.env`, `project file ...`, `user file ...` or `default`."""


def load_settings(
    flags: Mapping[str, object] | None = None,
    *,
    environ: Mapping[str, str] | None = None,
    cwd: Path | None = None,
) -> LoadedSettings:
    """Read the settings from every place there is.

    Raises `ConfigError`: `unknown_setting` for a name that is none, `invalid_setting` for a value that does not fit,
    `settings_file_invalid` for a file that cannot be read.
    """
    variables = os.environ if environ is None else environ
    base = (cwd or Path.cwd()).absolute()
    layers = [
        from_flags(flags or {}, base),
        from_environment(variables, base),
        *_project_layers(base),
        *_user_layers(variables),
    ]
    return _merged(layers)


def _project_layers(cwd: Path) -> list[Layer]:
    places = folders(cwd)
    dotenv, project = _first(places, DOTENV_NAME), _first(places, FILE_NAME)
    layers = [from_dotenv(dotenv)] if dotenv else []
    if project:
        layers.append(from_file(project, f"project file {os.path.relpath(project, cwd)}"))
    return layers


def _user_layers(environ: Mapping[str, str]) -> list[Layer]:
    file = user_file(environ)
    return [from_file(file, f"user file {file}")] if file and file.is_file() else []


def _first(places: Sequence[Path], name: str) -> Path | None:
    return next((place / name for place in places if (place / name).is_file()), None)


def _merged(layers: Sequence[Layer]) -> LoadedSettings:
    values: dict[str, Any] = {}
    origins = dict.fromkeys(Settings.model_fields, "default")
    for layer in reversed(layers):
        values |= layer.values
        origins |= layer.origins
    try:
        return LoadedSettings(Settings.model_validate(values), origins)
    except ValidationError as error:
        raise _invalid(error, values, origins) from None


def _invalid(error: ValidationError, values: Mapping[str, Any], origins: Mapping[str, str]) -> ConfigError:
    """Return the first fault as an error that never repeats the value: it may be a secret, put under a wrong name."""
    fault = error.errors(include_input=False, include_url=False, include_context=False)[0]
    name = str(fault["loc"][0])
    described = Settings.model_fields[name]
    choices = [choice for choice in get_args(described.annotation) if isinstance(choice, str)]
    return ConfigError(
        f"the setting '{name}' (from: {origins[name]}) is not valid, so nothing was started: {fault['msg']}",
        code="invalid_setting",
        field=name,
        fix=f"correct '{name}': {described.description}",
        did_you_mean=nearest(str(values[name]), choices) if choices else (),
    )
