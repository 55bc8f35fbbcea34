"""Discovery keeps the plugins that work and says why the others do not."""

from __future__ import annotations

import sys
from collections.abc import Callable
from importlib import metadata
from pathlib import Path

import pytest

from servicetsunami.plugins import PluginFailure, Plugins, discover
from servicetsunami.sdk import ConfigError, NotFound

Install = Callable[..., None]

GOOD = """
from servicetsunami.sdk import Config, Read, Source, Stream, hookimpl


class {cls}(Source[Config]):
    '''Reads {name}.'''

    name = "{name}"

    def streams(self):
        return [Stream("one")]

    def read(self, read: Read):
        yield [{{"id": 1}}]


@hookimpl
def connectors():
    return [{cls}]
"""


def good(name: str = "good") -> str:
    return GOOD.format(name=name, cls=name.title().replace("_", ""))


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.syspath_prepend(tmp_path)
    return tmp_path


@pytest.fixture
def install(site: Path, monkeypatch: pytest.MonkeyPatch) -> Install:
    def write(
        distribution: str, source: str, *, version: str = "1.0", group: str = "servicetsunami.v1", about: str = ""
    ) -> None:
        module = f"plug_{site.name.replace('-', '_')}_{distribution.replace('-', '_')}"
        (site / f"{module}.py").write_text(source, encoding="utf-8")
        folder = site / f"{distribution.replace('-', '_')}-{version}.dist-info"
        folder.mkdir()
        text = f"Metadata-Version: 2.4\nName: {distribution}\nVersion: {version}\n{about}"
        (folder / "METADATA").write_text(text, encoding="utf-8")
        (folder / "entry_points.txt").write_text(f"[{group}]\n{distribution} = {module}\n", encoding="utf-8")
        monkeypatch.delitem(sys.modules, module, raising=False)

    return write


def find(site: Path, *allow: str) -> Plugins:
    entries = [entry for dist in metadata.distributions(path=[str(site)]) for entry in dist.entry_points]
    return discover(entries, allow=allow)


def only_failure(plugins: Plugins) -> PluginFailure:
    (failure,) = plugins.failures
    return failure


def test_a_plugin_is_found_with_what_its_metadata_says(site: Path, install: Install) -> None:
    install("tsunami-good", good(), version="2.1", about="License-Expression: MIT\n")

    (plugin,) = find(site).found

    assert (plugin.name, plugin.kind, plugin.distribution, plugin.version, plugin.license) == (
        "good",
        "connector",
        "tsunami-good",
        "2.1",
        "MIT",
    )
    assert plugin.manifest.description == "Reads good."


@pytest.mark.parametrize(
    ("about", "expected"),
    [
        ("License: BSD-3-Clause\n", "BSD-3-Clause"),
        ("Classifier: License :: OSI Approved :: Apache Software License\n", "Apache Software License"),
        ("", None),
    ],
)
def test_a_licence_is_taken_from_where_it_is_written(
    site: Path, install: Install, about: str, expected: str | None
) -> None:
    install("lic", good(), about=about)

    (plugin,) = find(site).found

    assert plugin.license == expected


@pytest.mark.parametrize(
    ("source", "code", "reason"),
    [
        ("import no_such_driver_at_all", "import_failed", "No module named 'no_such_driver_at_all'"),
        ("raise RuntimeError('out of order')", "raised", "RuntimeError: out of order"),
        ("def f(:", "raised", "SyntaxError"),
        ("raise SystemExit(3)", "exited", "SystemExit"),
        (good().replace("def connectors()", "def conectors()"), "unknown_hook", "conectors"),
        (good().replace("def connectors()", "def connectors(wrong)"), "unknown_hook", "wrong"),
        (good().replace("@hookimpl", ""), "nothing_provided", "@hookimpl"),
        (good().replace("return [Good]", "return Good"), "wrong_hook_result", "instead of a list of classes"),
        (good().replace("return [Good]", "return [3]"), "wrong_class", "an object of type int"),
        (good().replace("return [Good]", "return [dict]"), "wrong_class", "dict"),
        (good().replace("def connectors()", "def sinks()"), "wrong_class", "not a subclass of Sink"),
        (good().replace("return [Good]", "return 1 / 0"), "raised", "ZeroDivisionError"),
        (good().replace("def read", "def reed"), "abstract_class", "does not define read"),
        (good().replace('"good"', '"Not-Good"'), "bad_name", "Not-Good"),
        (good().replace('    name = "good"\n', ""), "bad_name", "None"),
    ],
)
def test_a_broken_plugin_is_listed_with_its_reason_and_stops_nobody(
    site: Path, install: Install, source: str, code: str, reason: str
) -> None:
    install("broken", source)
    install("working", good("working"))

    plugins = find(site)

    failure = only_failure(plugins)
    assert list(plugins.connectors) == ["working"]
    assert (failure.distribution, failure.version, failure.entry_point, failure.code) == (
        "broken",
        "1.0",
        "broken",
        code,
    )
    assert reason in failure.reason
    assert failure.fix
    assert "Traceback" not in failure.reason


def test_an_interrupt_is_not_swallowed(site: Path, install: Install) -> None:
    install("stop", "raise KeyboardInterrupt")

    with pytest.raises(KeyboardInterrupt):
        find(site)


def test_a_reason_holds_no_value_of_the_environment(
    site: Path, install: Install, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SOME_TOKEN", "canary-9f3a")
    install("leaky", "import os\nraise RuntimeError('bad token ' + os.environ['SOME_TOKEN'] + '\\nsecond line')")

    failure = only_failure(find(site))

    assert failure.reason.endswith("RuntimeError: bad token ***")


def test_what_a_plugin_prints_does_not_reach_stdout(
    site: Path, install: Install, capsys: pytest.CaptureFixture[str]
) -> None:
    install("chatty", "print('hello')\n" + good())

    find(site)

    assert capsys.readouterr().out == ""


def test_a_name_that_two_distributions_claim_is_refused_for_both(site: Path, install: Install) -> None:
    install("first", good("same"))
    install("second", good("same"))
    install("third", good("other"))

    plugins = find(site)

    assert list(plugins.connectors) == ["other"]
    assert [(f.distribution, f.code) for f in plugins.failures] == [
        ("first", "name_claimed_twice"),
        ("second", "name_claimed_twice"),
    ]
    assert all("first 1.0 and second 1.0" in f.reason for f in plugins.failures)


def test_a_plugin_for_another_api_is_listed_and_never_imported(site: Path, install: Install) -> None:
    install("future", "raise RuntimeError('imported')", group="servicetsunami.v2")

    failure = only_failure(find(site))

    assert failure.code == "api_version"
    assert "servicetsunami.v2" in failure.reason


@pytest.mark.parametrize("allow", ["Tsunami_Good", "tsunami-good==1.0", "tsunami.good == 1.0"])
def test_the_allow_list_lets_a_distribution_in_by_name_or_version(site: Path, install: Install, allow: str) -> None:
    install("tsunami-good", good())

    plugins = find(site, allow)

    assert list(plugins.connectors) == ["good"]


@pytest.mark.parametrize("allow", ["another", "tsunami-good==2.0"])
def test_what_is_not_on_the_allow_list_is_never_imported(site: Path, install: Install, allow: str) -> None:
    install("tsunami-good", "raise RuntimeError('imported')")

    failure = only_failure(find(site, allow))

    assert failure.code == "not_allowed"
    assert "tsunami-good==1.0" in failure.fix


def test_an_entry_of_the_allow_list_that_is_no_distribution_is_refused(site: Path) -> None:
    with pytest.raises(ConfigError, match="good>=1") as refused:
        find(site, "good>=1")

    assert refused.value.code == "bad_allow_entry"


def test_a_misspelt_connector_is_told_with_near_names_and_never_a_command_to_install_it(
    site: Path, install: Install
) -> None:
    install("one", good("postgres"))

    with pytest.raises(NotFound) as missing:
        find(site).connector("postgress")

    assert missing.value.code == "connector_not_found"
    assert missing.value.did_you_mean == ("postgres",)
    assert missing.value.fix == "use postgres; tsunami plugins shows all that is installed"


def test_a_connector_that_is_installed_but_broken_is_told_with_its_reason(site: Path, install: Install) -> None:
    install("broken", "import no_such_driver_at_all")

    with pytest.raises(NotFound) as missing:
        find(site).connector("broken")

    assert "no_such_driver_at_all" in (missing.value.why or "")


def test_a_missing_sink_is_told_with_a_command() -> None:
    with pytest.raises(NotFound) as missing:
        Plugins().sink("big_query")

    assert missing.value.code == "sink_not_found"
    assert missing.value.fix == "pip install servicetsunami-sink-big-query"


def test_the_installed_plugins_are_found_without_an_argument() -> None:
    plugins = discover()

    assert "postgres" in plugins.connectors
    assert "lakehouse" in plugins.sinks
