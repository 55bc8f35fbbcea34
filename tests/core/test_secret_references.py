"""A connection may refer to secrets on this machine, but only to those that were allowed, and never to ours."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from servicetsunami.runtime.references import References
from servicetsunami.sdk import ConfigError, PermanentError

CANARY = "canary-4f1c"


def references(tmp_path: Path, *patterns: str, tenant: str = "acme", local: bool = True) -> References:
    return References(patterns, tmp_path / "home", tenant, local)


@pytest.fixture
def place(tmp_path: Path) -> Path:
    folder = tmp_path.resolve() / "secrets" / "acme"
    folder.mkdir(parents=True)
    return folder


@pytest.mark.parametrize(
    ("pattern", "name"),
    [((), "TSUNAMI_SECRET_SHOP"), (("env:SHOP_*",), "SHOP_PASSWORD"), (("env:SHOP_?",), "SHOP_1")],
)
def test_an_allowed_variable_is_read_when_asked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, pattern: tuple[str, ...], name: str
) -> None:
    monkeypatch.setenv(name, CANARY)

    assert references(tmp_path, *pattern).resolve("password", f"env:{name}") == CANARY


@pytest.mark.parametrize("end", ["", "\n", "\r\n"])
def test_an_allowed_file_is_read_without_its_last_line_end(tmp_path: Path, place: Path, end: str) -> None:
    (place / "shop").write_bytes(f"{CANARY}\nmore{end}".encode())

    secret = references(tmp_path, f"file:{place}/*").resolve("password", f"file:{place}/shop")

    assert secret == f"{CANARY}\nmore"


@pytest.mark.parametrize(
    "reference",
    [
        "env:PATH",
        "env:TSUNAMI_MASTER_KEY",
        "env:tsunami_master_key",
        "env:DATABRICKS_TOKEN",
        "env:SHOP_PASSWORD\0",
        "file:/etc/passwd",
        "file:{place}/../acme/shop",
        "file:{place}/deeper/shop",
        "file:{place}//shop",
        "file:relative",
        "file:{home}/master.key",
        "keyring:servicetsunami//keys/home",
        "keyring:other/shop",
        "http://example.com/secret",
        "SHOP_PASSWORD",
        "",
        CANARY,
    ],
)
def test_what_was_not_allowed_is_refused_without_repeating_it(tmp_path: Path, place: Path, reference: str) -> None:
    written = reference.format(place=place, home=tmp_path / "home")
    patterns = ("env:SHOP_*", "env:TSUNAMI_*", "env:DATA*", f"file:{place}/*", f"file:{tmp_path}/home/*")

    with pytest.raises(ConfigError) as refused:
        references(tmp_path, *patterns).resolve("password", written)

    assert refused.value.code == "secret_reference_not_allowed"
    assert not written or written not in str(refused.value.problem())


def test_over_http_only_patterns_that_name_the_tenant_count(tmp_path: Path, place: Path) -> None:
    (place / "shop").write_text(CANARY)
    patterns = (f"file:{place.parent}/{{tenant}}/*", f"file:{place}/*", "env:SHOP_*")

    own = references(tmp_path, *patterns, local=False).resolve("password", f"file:{place}/shop")

    assert own == CANARY
    for tenant, reference in (("beta", f"file:{place}/shop"), ("acme", "env:SHOP_PASSWORD")):
        with pytest.raises(ConfigError, match="may not be taken"):
            references(tmp_path, *patterns, tenant=tenant, local=False).resolve("password", reference)


def test_over_http_nothing_is_allowed_by_default(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TSUNAMI_SECRET_SHOP", CANARY)

    with pytest.raises(ConfigError, match="may not be taken"):
        references(tmp_path, local=False).resolve("password", "env:TSUNAMI_SECRET_SHOP")


def test_whether_something_lies_where_nobody_may_look_is_not_told(tmp_path: Path) -> None:
    answers = set()
    for reference in ("file:/etc/passwd", "file:/etc/nothing-of-that-name", "env:PATH", "env:NO_SUCH_VARIABLE"):
        with pytest.raises(ConfigError) as refused:
            references(tmp_path, "env:SHOP_*").resolve("password", reference)
        answers.add(str(refused.value.problem()))

    assert len(answers) == 1


def test_only_regular_files_of_a_small_size_are_read(tmp_path: Path, place: Path) -> None:
    (place / "real").write_text(CANARY)
    (tmp_path / "elsewhere").write_text(CANARY)
    (place / "link").symlink_to(tmp_path / "elsewhere")
    (place / "folder").mkdir()
    (place / "large").write_bytes(b"x" * (64 * 1024 + 1))
    (place / "binary").write_bytes(b"\xff\xfe")
    os.mkfifo(place / "pipe")
    allowed = references(tmp_path, f"file:{place}/*")

    for name in ("link", "folder", "large", "binary", "pipe", "missing"):
        with pytest.raises(PermanentError) as failed:
            allowed.resolve("password", f"file:{place}/{name}")

        assert failed.value.code == "secret_reference_unresolved"
        assert failed.value.problem().why


def test_a_file_that_is_mounted_as_a_link_within_its_folder_is_read(tmp_path: Path, place: Path) -> None:
    (place / "..2026").mkdir()
    (place / "..2026" / "password").write_text(CANARY)
    (place / "..data").symlink_to("..2026")
    (place / "password").symlink_to("..data/password")

    assert references(tmp_path, f"file:{place}/*").resolve("password", f"file:{place}/password") == CANARY


def test_a_variable_that_is_not_set_says_so(tmp_path: Path) -> None:
    with pytest.raises(PermanentError) as failed:
        references(tmp_path, "env:SHOP_*").resolve("password", "env:SHOP_MISSING")

    assert "no such variable" in str(failed.value.problem().why)
