"""Which connectors are kept, which are there, and which of them work."""

from __future__ import annotations

from collections.abc import Mapping
from importlib import metadata
from pathlib import Path

from packaging.utils import canonicalize_name

from servicetsunami.operations.connector_set import kept
from servicetsunami.operations.connector_set.models import KeptConnectors, KeptConnectorView
from servicetsunami.plugins import Plugins


def list_connectors(home: Path, plugins: Plugins) -> KeptConnectors:
    """Show what is kept beside what is installed, by distribution; one that is kept may be missing."""
    wanted = {one.distribution: one.requirement for one in kept.read(home)}
    names: dict[str, list[str]] = {}
    for found in plugins.found:
        names.setdefault(canonicalize_name(found.distribution), []).append(found.name)
    reasons: dict[str, str] = {canonicalize_name(one.distribution): one.reason for one in plugins.failures}
    everything = sorted({*wanted, *names, *reasons})
    return KeptConnectors(connectors=tuple(_view(one, wanted.get(one), names, reasons) for one in everything))


def lost_connectors(home: Path) -> list[str]:
    """Name the distributions that are kept, but not installed."""
    return [one.distribution for one in kept.read(home) if installed_version(one.distribution) is None]


def installed_version(distribution: str) -> str | None:
    """Return the version of a distribution that is installed; None if it is not."""
    try:
        return metadata.version(distribution)
    except metadata.PackageNotFoundError:
        return None


def _view(
    distribution: str, requirement: str | None, names: Mapping[str, list[str]], reasons: Mapping[str, str]
) -> KeptConnectorView:
    version = installed_version(distribution)
    works = distribution in names
    return KeptConnectorView(
        distribution=distribution,
        requirement=requirement,
        version=version,
        connectors=tuple(sorted(names.get(distribution, ()))),
        status="missing" if version is None else "installed" if works else "broken",
        reason=reasons.get(distribution),
    )
