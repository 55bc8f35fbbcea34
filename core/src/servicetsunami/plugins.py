"""Find the plugins that are installed: keep what works, and say why the rest does not.

pluggy's own entry-point loader lets one broken plugin stop the host and lets a second distribution take over a name
in silence. This one isolates every plugin, refuses a name that two distributions claim, and decides by metadata alone
what may be imported at all.
"""

from __future__ import annotations

import importlib
import inspect
import os
import re
import sys
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import redirect_stdout
from dataclasses import dataclass, field, replace
from functools import partial
from importlib import metadata
from typing import Any, Literal, TypeVar

import pluggy

from servicetsunami.runtime.distributions import Metadata, add_editable_folders, installed_metadata
from servicetsunami.sdk import (
    ENTRY_POINT_GROUP,
    ConfigError,
    Hooks,
    Manifest,
    NotFound,
    Sink,
    Source,
    manifest,
    nearest,
)

Kind = Literal["connector", "sink"]
PluginClass = type[Source[Any]] | type[Sink[Any]]
T = TypeVar("T")

_GROUP = re.compile(r"servicetsunami\.v\d+")
_NAME = re.compile(r"[a-z][a-z0-9_]{0,47}")
_REASON_CHARACTERS = 300
_DESCRIPTION_CHARACTERS = 300


@dataclass(frozen=True)
class FoundPlugin:
    """A connector or sink that can be used."""

    name: str
    kind: Kind
    cls: PluginClass
    distribution: str
    version: str
    license: str | None
    manifest: Manifest


@dataclass(frozen=True)
class PluginFailure:
    """A plugin that cannot be used, and why."""

    distribution: str
    version: str
    entry_point: str
    code: str
    reason: str
    fix: str


@dataclass(frozen=True)
class Plugins:
    """All that is installed, in the order of distribution and name."""

    found: tuple[FoundPlugin, ...] = ()
    failures: tuple[PluginFailure, ...] = ()
    seen: Metadata | None = field(default=None, compare=False)
    """What was installed just before they were looked for; None where they were not looked for."""

    @property
    def connectors(self) -> Mapping[str, type[Source[Any]]]:
        """The usable connectors by name."""
        return {plugin.name: plugin.cls for plugin in self.found if issubclass(plugin.cls, Source)}

    @property
    def sinks(self) -> Mapping[str, type[Sink[Any]]]:
        """The usable sinks by name."""
        return {plugin.name: plugin.cls for plugin in self.found if issubclass(plugin.cls, Sink)}

    def connector(self, name: str) -> type[Source[Any]]:
        """Return the connector called `name`; raises `NotFound` with near names."""
        return self._get("connector", name, self.connectors)

    def sink(self, name: str) -> type[Sink[Any]]:
        """Return the sink called `name`; raises `NotFound` with near names."""
        return self._get("sink", name, self.sinks)

    def _get(self, kind: Kind, name: str, known: Mapping[str, T]) -> T:
        if name in known:
            return known[name]
        refused = next((failure for failure in self.failures if failure.entry_point == name), None)
        near = nearest(name, known)
        raise NotFound(
            f"there is no usable {kind} called '{name}'; installed: {', '.join(sorted(known)) or 'none'}",
            code=f"{kind}_not_found",
            field=kind,
            why=refused.reason if refused else None,
            fix=refused.fix if refused else _how_to_get(kind, name, near),
            did_you_mean=near,
        )


def discover(entry_points: Iterable[metadata.EntryPoint] | None = None, *, allow: Sequence[str] = ()) -> Plugins:
    """Find every plugin; one that is broken is listed in `failures` and stops nobody.

    `allow` holds names of distributions, or `name==version`; where it is not empty, nothing else is imported. Raises
    `ConfigError` for an entry that is neither.
    """
    allowed = tuple(_allowed(entry) for entry in allow)
    seen = installed_metadata()
    found: list[FoundPlugin] = []
    failures: list[PluginFailure] = []
    for entry in sorted(_installed() if entry_points is None else entry_points, key=_order):
        origin = _Origin.of(entry)
        try:
            _admit(entry, origin, allowed)
            classes = _classes(entry)
        except _RefusedError as refusal:
            failures.append(origin.failure(refusal))
            continue
        for kind, cls in classes:
            try:
                found.append(origin.plugin(kind, cls))
            except _RefusedError as refusal:
                failures.append(origin.failure(refusal))
    return replace(_without_rivals(found, failures), seen=seen)


def rediscover(known: Plugins, *, allow: Sequence[str] = ()) -> Plugins:
    """Find every plugin of this moment, after some were installed or uninstalled; raises as `discover` does."""
    importlib.invalidate_caches()
    add_editable_folders()
    present = {(entry.dist.name, entry.dist.version) for entry in _installed() if entry.dist is not None}
    stays = {_package(one) for one in known.found if (one.distribution, one.version) in present}
    for package in {_package(one) for one in known.found} - stays:
        # What comes back under this name may be another release.
        for module in [name for name in sys.modules if name == package or name.startswith(f"{package}.")]:
            del sys.modules[module]
    return discover(allow=allow)


class _RefusedError(Exception):
    """Why one plugin is not used."""

    def __init__(self, code: str, reason: str, fix: str) -> None:
        super().__init__(reason)
        self.code = code
        self.reason = reason
        self.fix = fix


@dataclass(frozen=True)
class _Origin:
    """Where a plugin comes from, as its metadata says."""

    distribution: str
    version: str
    license: str | None
    entry_point: str

    @classmethod
    def of(cls, entry: metadata.EntryPoint) -> _Origin:
        dist = entry.dist
        if dist is None:
            return cls("unknown", "unknown", None, entry.name)
        return cls(dist.name or "unknown", dist.version or "unknown", _license(dist.metadata), entry.name)

    def failure(self, refusal: _RefusedError) -> PluginFailure:
        return PluginFailure(
            self.distribution, self.version, self.entry_point, refusal.code, refusal.reason, refusal.fix
        )

    def plugin(self, kind: Kind, cls: object) -> FoundPlugin:
        usable = _usable(kind, cls)
        described = _guarded(partial(manifest, usable), f"describing {usable.name}")
        short = " ".join(described.description.split())[:_DESCRIPTION_CHARACTERS]
        return FoundPlugin(
            usable.name,
            kind,
            usable,
            self.distribution,
            self.version,
            self.license,
            described.model_copy(update={"description": short}),
        )


def _package(plugin: FoundPlugin) -> str:
    return plugin.cls.__module__.partition(".")[0]


def _installed() -> list[metadata.EntryPoint]:
    groups = metadata.entry_points()
    return [entry for name in groups.groups if _GROUP.fullmatch(name) for entry in groups.select(group=name)]


def _order(entry: metadata.EntryPoint) -> tuple[str, str, str]:
    return (entry.dist.name if entry.dist else "", entry.name, entry.group)


def _license(about: metadata.PackageMetadata) -> str | None:
    for heading in ("License-Expression", "License"):
        lines = [line.strip() for text in about.get_all(heading) or () for line in str(text).splitlines()]
        if any(lines):
            return next(filter(None, lines))
    classifiers = [c for c in about.get_all("Classifier") or () if c.startswith("License ::")]
    return classifiers[0].rpartition("::")[2].strip() if classifiers else None


def _allowed(entry: str) -> tuple[str, str | None]:
    name, pinned, version = (part.strip() for part in entry.partition("=="))
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]*", name) or (pinned and not version):
        raise ConfigError(
            f"'{entry}' in the list of allowed plugins is not a distribution",
            code="bad_allow_entry",
            fix="write the distribution's name, or name==version",
        )
    return _normalised(name), version or None


def _normalised(distribution: str) -> str:
    return re.sub(r"[-_.]+", "-", distribution).lower()


def _admit(entry: metadata.EntryPoint, origin: _Origin, allowed: Sequence[tuple[str, str | None]]) -> None:
    if entry.group != ENTRY_POINT_GROUP:
        raise _RefusedError(
            "api_version",
            f"it is made for plugin API {entry.group}, and this host offers {ENTRY_POINT_GROUP}; it was not imported",
            f"install a release of {origin.distribution} for {ENTRY_POINT_GROUP}, or another release of servicetsunami",
        )
    name = _normalised(origin.distribution)
    if allowed and (name, None) not in allowed and (name, origin.version) not in allowed:
        raise _RefusedError(
            "not_allowed",
            f"{origin.distribution} {origin.version} is not in the list of allowed plugins; it was not imported",
            f"add {name} or {name}=={origin.version} to the list, or uninstall it",
        )


def _classes(entry: metadata.EntryPoint) -> list[tuple[Kind, object]]:
    module = _guarded(entry.load, f"importing {entry.module}")
    hooks = pluggy.PluginManager("servicetsunami")
    hooks.add_hookspecs(Hooks)
    _guarded(partial(_register, hooks, module), f"reading the hooks of {entry.module}")
    if not hooks.get_hookcallers(module):
        raise _RefusedError(
            "nothing_provided",
            f"{entry.module} has no hook: neither connectors() nor sinks() is decorated with @hookimpl",
            "decorate the function with servicetsunami.sdk.hookimpl",
        )
    calls: dict[Kind, Callable[[], object]] = {"connector": hooks.hook.connectors, "sink": hooks.hook.sinks}
    return [(kind, cls) for kind, call in calls.items() for cls in _called(call, kind, entry.module)]


def _register(hooks: pluggy.PluginManager, module: object) -> None:
    try:
        hooks.register(module)
        hooks.check_pending()
    except pluggy.PluginValidationError as error:
        raise _RefusedError(
            "unknown_hook",
            f"a hook is not one the host calls, or takes other arguments: {_shown(' '.join(str(error).split()))}",
            "the hooks are connectors() and sinks(), both without arguments",
        ) from error


def _called(call: Callable[[], object], kind: Kind, module: str) -> list[object]:
    answers = _guarded(call, f"calling {kind}s() of {module}")
    classes: list[object] = []
    for answer in answers if isinstance(answers, list) else []:
        if not isinstance(answer, list | tuple):
            raise _RefusedError(
                "wrong_hook_result",
                f"{kind}s() of {module} returned {type(answer).__name__} instead of a list of classes",
                "return a list of classes",
            )
        classes += answer
    return list(dict.fromkeys(classes)) if all(isinstance(cls, type) for cls in classes) else classes


def _usable(kind: Kind, cls: object) -> PluginClass:
    base = Source if kind == "connector" else Sink
    if not isinstance(cls, type) or not issubclass(cls, base):
        shown = cls.__qualname__ if isinstance(cls, type) else f"an object of type {type(cls).__name__}"
        raise _RefusedError(
            "wrong_class",
            f"{kind}s() offers {shown}, which is not a subclass of {base.__name__}",
            f"return classes that inherit from servicetsunami.sdk.{base.__name__}",
        )
    if inspect.isabstract(cls):
        missing = ", ".join(sorted(cls.__abstractmethods__))
        raise _RefusedError(
            "abstract_class", f"{cls.__qualname__} does not define {missing}", f"define {missing} in {cls.__qualname__}"
        )
    name = getattr(cls, "name", None)
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        raise _RefusedError(
            "bad_name",
            f"{cls.__qualname__} is called {name!r:.60}, which is not a name people can type",
            "set `name` to lower-case letters, digits and _, beginning with a letter, at most 48 characters",
        )
    return cls


def _guarded(action: Callable[[], T], doing: str) -> T:
    """Run code of a plugin; whatever it raises, exits included, becomes a refusal. What it prints goes to stderr."""
    try:
        with redirect_stdout(sys.stderr):
            return action()
    except _RefusedError:
        raise
    except ImportError as error:
        reason = f"{doing} failed: {_shown(str(error))}"
        raise _RefusedError("import_failed", reason, "install what is missing, or update the distribution") from error
    except SystemExit as error:
        raise _RefusedError(
            "exited", f"{doing} ended with SystemExit", "update or uninstall the distribution"
        ) from error
    except Exception as error:
        reason = f"{doing} raised {type(error).__name__}: {_shown(str(error))}".rstrip(": ")
        raise _RefusedError("raised", reason, "update or uninstall the distribution") from error


def _shown(text: str) -> str:
    """Return the first line of `text`, short, with every value of the environment masked."""
    line = " ".join((text.strip().splitlines() or [""])[0].split())
    for value in sorted({value for value in os.environ.values() if len(value) >= 4}, key=len, reverse=True):
        line = line.replace(value, "***")
    return line[:_REASON_CHARACTERS]


def _without_rivals(found: Sequence[FoundPlugin], failures: list[PluginFailure]) -> Plugins:
    """Refuse every name that two plugins claim, for both: which one came first would depend on the disk."""
    claims = Counter((plugin.kind, plugin.name) for plugin in found)
    kept = [plugin for plugin in found if claims[plugin.kind, plugin.name] == 1]
    refused = [_rival(plugin, found) for plugin in found if claims[plugin.kind, plugin.name] > 1]
    return Plugins(tuple(kept), tuple(failures + refused))


def _rival(plugin: FoundPlugin, found: Sequence[FoundPlugin]) -> PluginFailure:
    claims = [p for p in found if (p.kind, p.name) == (plugin.kind, plugin.name)]
    owners = " and ".join(dict.fromkeys(f"{p.distribution} {p.version}" for p in claims))
    return PluginFailure(
        plugin.distribution,
        plugin.version,
        plugin.name,
        "name_claimed_twice",
        f"the {plugin.kind} name '{plugin.name}' is claimed more than once, by {owners}; none of them is used",
        "uninstall all but one of them",
    )


def _how_to_get(kind: Kind, name: str, near: Sequence[str]) -> str:
    if near:
        # A command to install a misspelt name would fetch whatever a stranger published under it.
        return f"use {' or '.join(near)}; tsunami plugins shows all that is installed"
    if not _NAME.fullmatch(name):
        return "run tsunami plugins to see what is installed"
    package = f"servicetsunami-{'sink-' if kind == 'sink' else ''}{name.replace('_', '-')}"
    return f"pip install {package}"
