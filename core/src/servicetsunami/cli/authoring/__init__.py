"""Making new connectors from a template."""

from __future__ import annotations

import keyword
import re
from importlib.metadata import version
from pathlib import Path

from servicetsunami.operations.models import Result
from servicetsunami.plugins import Plugins
from servicetsunami.sdk import ConfigError, PermissionDenied

_TEMPLATE = Path(__file__).parent / "template"
_NAME = re.compile(r"[a-z][a-z0-9_]{0,47}")


class MadeConnector(Result):
    """A new distribution with a connector."""

    connector: str
    folder: str
    files: tuple[str, ...]


def make_connector(plugins: Plugins, name: str, title: str | None, into: Path) -> MadeConnector:
    """Write the distribution `servicetsunami-NAME` into a folder; all of it, or nothing.

    Raises `ConfigError`: `bad_connector_name`, `connector_exists`, `folder_exists`, `author_extra_missing`; and
    `PermissionDenied` (`folder_not_written`).
    """
    _check_name(name)
    if name in plugins.connectors:
        raise ConfigError(
            f"a connector '{name}' is installed already, so another one could not be told from it",
            code="connector_exists",
            field="name",
            fix="choose another name",
        )
    folder = into.resolve() / f"servicetsunami-{name.replace('_', '-')}"
    if folder.exists():
        raise ConfigError(
            f"{folder} exists already, so nothing was written",
            code="folder_exists",
            field="name",
            fix="choose another name or another folder, or remove what is there",
        )
    _write(folder, name, title or name.replace("_", " ").capitalize())
    files = sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())
    return MadeConnector(connector=name, folder=str(folder), files=tuple(files))


def _check_name(name: str) -> None:
    if _NAME.fullmatch(name) is None or keyword.iskeyword(name):
        raise ConfigError(
            "that cannot be the name of a connector, so nothing was written",
            code="bad_connector_name",
            field="name",
            fix="use up to 48 lower-case letters, digits and _, a letter first, such as acme_crm",
        )


def _write(folder: Path, name: str, title: str) -> None:
    try:
        from copier import run_copy
    except ModuleNotFoundError:
        raise ConfigError(
            "the template needs copier, which is not installed, so nothing was written",
            code="author_extra_missing",
            fix="pip install 'servicetsunami[author]'",
        ) from None
    answers = {
        "name": name,
        "title": title,
        "module": f"servicetsunami_{name}",
        "distribution": folder.name,
        "cls": "".join(part.capitalize() for part in name.split("_")),
        "host_version": ".".join(version("servicetsunami").split(".")[:2]),
    }
    try:
        run_copy(str(_TEMPLATE), folder, data=answers, defaults=True, quiet=True, overwrite=False)
    except OSError as error:
        raise PermissionDenied(
            f"{folder} cannot be written",
            code="folder_not_written",
            why=error.strerror,
            fix="name a folder of yours with --into",
        ) from error
