"""Adding and removing connectors, and installing again those that a new environment lacks."""

from __future__ import annotations

import importlib
import json
from collections.abc import Iterable, Sequence
from importlib import metadata
from pathlib import Path

from packaging.utils import canonicalize_name

from servicetsunami.operations.connector_set import kept
from servicetsunami.operations.connector_set.installer import Installer
from servicetsunami.operations.connector_set.listing import list_connectors, lost_connectors
from servicetsunami.operations.connector_set.models import KeptConnectors
from servicetsunami.plugins import discover
from servicetsunami.sdk import ENTRY_POINT_GROUP, ConfigError, NotFound, nearest

_OURS = "servicetsunami"
_NO_CONNECTORS = frozenset({"all", "author", "demo", "keyring", "lakehouse"})


def add_connectors(home: Path, wanted: Sequence[str], installer: Installer, *, upgrade: bool = False) -> KeptConnectors:
    """Install connectors and keep them: names of ours such as `salesforce`, packages, folders or wheels.

    Raises `ConfigError` (`no_connector`) for a distribution that brings none, which is uninstalled again if it came by
    this, and what the installer raises. What was kept before stays kept.
    """
    before = kept.read(home)
    requirements = [_requirement(one) for one in wanted]
    present = set(_distributions())
    installer.install(requirements, upgrade=upgrade)
    added = [_kept(one) for one in requirements]
    for one in added:
        _check_brings_connector(one, present, installer)
    names = {one.distribution for one in added}
    kept.write(home, [*(one for one in before if one.distribution not in names), *added])
    return list_connectors(home, discover())


def remove_connector(home: Path, name: str, installer: Installer) -> KeptConnectors:
    """Uninstall a distribution, by its name or that of a connector in it, and keep it no more.

    Its connections and tables stay. Raises `NotFound` (`connector_not_found`).
    """
    before = kept.read(home)
    distribution = _distribution_of(home, name)
    if distribution in _distributions():
        installer.uninstall(distribution)
    kept.write(home, [one for one in before if one.distribution != distribution])
    _look_again()
    return list_connectors(home, discover())


def sync_connectors(home: Path, installer: Installer) -> KeptConnectors:
    """Install what is kept but missing, as after an upgrade that made the environment anew."""
    lost = set(lost_connectors(home))
    missing = [one.requirement for one in kept.read(home) if one.distribution in lost]
    if missing:
        installer.install(missing)
        _look_again()
    return list_connectors(home, discover())


def _requirement(wanted: str) -> str:
    """Return what is to be installed: of a name of ours, its distribution; of a path, its address."""
    path = Path(wanted).expanduser()
    if wanted in _names_of_ours():
        return f"{_OURS}-{wanted}"
    if ("/" in wanted or wanted.startswith(".") or wanted.endswith(".whl")) and path.exists():
        return path.resolve().as_uri()
    return kept.named(wanted).requirement


def _names_of_ours() -> list[str]:
    return [one for one in metadata.metadata(_OURS).get_all("Provides-Extra") or () if one not in _NO_CONNECTORS]


def _kept(requirement: str) -> kept.Kept:
    """Write down what was installed; an address gets the name of what was found there."""
    _look_again()
    if "://" in requirement and "@" not in requirement.partition("://")[0]:
        name = next((name for name in _distributions() if _came_from(name, requirement)), None)
        if name is not None:
            return kept.Kept(name, f"{name} @ {requirement}")
    return kept.named(requirement)


def _came_from(distribution: str, address: str) -> bool:
    told = metadata.distribution(distribution).read_text("direct_url.json")
    return told is not None and str(json.loads(told).get("url", "")).rstrip("/") == address.rstrip("/")


def _check_brings_connector(one: kept.Kept, present: Iterable[str], installer: Installer) -> None:
    points = metadata.entry_points(group=ENTRY_POINT_GROUP)
    if any(point.dist is not None and canonicalize_name(point.dist.name) == one.distribution for point in points):
        return
    if one.distribution not in present:
        installer.uninstall(one.distribution)
    raise ConfigError(
        f"the package '{one.distribution}' brings no connector for this version, so it is not kept",
        code="no_connector",
        fix=f"ask its maintainers for one with an entry point in {ENTRY_POINT_GROUP}",
    )


def _distribution_of(home: Path, name: str) -> str:
    listed = list_connectors(home, discover()).connectors
    wanted = canonicalize_name(name)
    for one in listed:
        if wanted in (one.distribution, one.distribution.removeprefix(f"{_OURS}-")) or name in one.connectors:
            return one.distribution
    known = [known for one in listed for known in (one.distribution, *one.connectors)]
    raise NotFound(
        f"there is no connector '{name}', so nothing was removed",
        code="connector_not_found",
        fix="see `tsunami connectors list`",
        did_you_mean=nearest(name, known),
    )


def _distributions() -> list[str]:
    return [canonicalize_name(one.name) for one in metadata.distributions() if one.name]


def _look_again() -> None:
    """Forget what Python knew of the folders it imports from."""
    importlib.invalidate_caches()
