"""Names of uploaded files and datasets: of a person's choice, and harmless."""

from __future__ import annotations

import re
import unicodedata
from pathlib import PurePosixPath, PureWindowsPath

from servicetsunami.sdk import ConfigError
from servicetsunami.sync.naming import identifier

_LONGEST = 120
_HARMFUL = re.compile(r"[\x00-\x1f\x7f/\\:*?\"<>|]")


def checked_file_name(name: str) -> str:
    """Return the last part of a file's name; raises `ConfigError` (`bad_file_name`) for one that is none."""
    last = unicodedata.normalize("NFC", PureWindowsPath(PurePosixPath(name).name).name)
    shown = "".join(character for character in last if unicodedata.category(character) not in ("Cc", "Cf", "Cs"))
    if not shown.strip(". ") or shown[0] in "._~" or _HARMFUL.search(shown) or len(shown.encode()) > _LONGEST:
        raise ConfigError(
            "that is no name of a file, so nothing was uploaded",
            code="bad_file_name",
            field="file_name",
            fix="give the file's own name with its ending, such as orders.csv",
        )
    return shown


def checked_dataset_name(name: str) -> str:
    """Return the name of a dataset, which its table in bronze gets; raises `ConfigError` (`bad_dataset_name`)."""
    if name and identifier(name) == name:
        return name
    raise ConfigError(
        "that cannot be the name of a table, so nothing was uploaded",
        code="bad_dataset_name",
        field="dataset_name",
        fix="use lower-case letters, digits and _",
        did_you_mean=(identifier(name),) if name.strip() else (),
    )
