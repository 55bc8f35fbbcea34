"""Where the settings of a connection come from, and that no secret comes from the command line."""

from __future__ import annotations

import io
from collections.abc import Iterable, Iterator
from pathlib import Path

import pyarrow as pa
import pytest
from pydantic import Field, SecretStr

from servicetsunami.cli import connecting
from servicetsunami.cli.connecting import Given, gather
from servicetsunami.sdk import Config, ConfigError, Item, NotFound, Read, Source, Stream


class ShopConfig(Config):
    host: str = Field(description="Where it is.")
    port: int = 5432
    schemas: tuple[str, ...] = ()
    password: SecretStr = SecretStr("")
    key: SecretStr | None = None


class ShopSource(Source[ShopConfig]):
    """A source for these tests."""

    name = "shop"

    def streams(self) -> Iterable[Stream]:
        return [Stream("t", schema=pa.schema([]))]

    def read(self, read: Read) -> Iterator[Item]:
        yield [{"stream": read.stream.id}]


class Keyboard(io.StringIO):
    """Standard input with a person at it."""

    def isatty(self) -> bool:
        return True


@pytest.fixture(autouse=True)
def no_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO("from stdin\n"))


def test_settings_get_the_type_of_their_field() -> None:
    given = Given.parse(settings=["host=db", "port=5433", "schemas=a", "schemas=b"])

    assert gather(ShopSource, given) == {"host": "db", "port": 5433, "schemas": ["a", "b"]}


def test_a_single_value_of_a_list_is_a_list() -> None:
    assert gather(ShopSource, Given.parse(settings=["schemas=a"])) == {"schemas": ["a"]}


def test_a_value_that_does_not_fit_is_left_for_the_connector_to_refuse() -> None:
    assert gather(ShopSource, Given.parse(settings=["port=many"])) == {"port": "many"}


def test_a_secret_in_a_setting_is_refused_with_another_way() -> None:
    given = Given.parse(settings=["password=hunter2"])

    with pytest.raises(ConfigError) as caught:
        gather(ShopSource, given)

    assert caught.value.code == "secret_on_command_line"
    assert "--secret-env password=VARIABLE" in (caught.value.fix or "")
    assert "hunter2" not in f"{caught.value.problem()}"


def test_a_secret_that_is_referred_to_is_not_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", Keyboard())

    given = Given.parse(settings=["host=db"], secret=["password=env:SHOP_PASSWORD"])

    assert gather(ShopSource, given) == {"host": "db"}
    assert given.secret_refs == {"password": "env:SHOP_PASSWORD"}


def test_a_reference_for_what_is_no_secret_is_refused() -> None:
    with pytest.raises(ConfigError, match="no secret 'pasword'") as caught:
        gather(ShopSource, Given.parse(settings=["host=db"], secret=["pasword=env:SHOP_PASSWORD"]))

    assert caught.value.problem().did_you_mean == ("password",)


def test_secrets_come_from_the_environment_and_standard_input(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SHOP_PASSWORD", "from env")

    given = Given.parse(secret_env=["password=SHOP_PASSWORD"], secret_stdin="key")

    assert gather(ShopSource, given) == {"password": "from env", "key": "from stdin"}


def test_an_environment_variable_that_is_not_set_is_named() -> None:
    with pytest.raises(ConfigError, match="SHOP_NOTHING"):
        Given.parse(secret_env=["password=SHOP_NOTHING"])


def test_a_secret_the_connector_does_not_have_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SHOP_PASSWORD", "from env")

    with pytest.raises(ConfigError) as caught:
        gather(ShopSource, Given.parse(secret_env=["pasword=SHOP_PASSWORD"]))

    assert caught.value.did_you_mean == ("password",)


def test_a_value_can_be_the_text_of_a_file(tmp_path: Path) -> None:
    (tmp_path / "host").write_text("db", encoding="utf-8")

    given = Given.parse(settings=[f"host=@{tmp_path / 'host'}", "port=@@home"])

    assert given.settings == {"host": ["db"], "port": ["@home"]}


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(NotFound, match="none"):
        Given.parse(settings=[f"host=@{tmp_path / 'none'}"])


def test_something_that_is_no_pair_is_refused_without_repeating_it() -> None:
    with pytest.raises(ConfigError) as caught:
        Given.parse(settings=["hunter2"])

    assert caught.value.code == "bad_pair"
    assert "hunter2" not in f"{caught.value.problem()}"


def test_stream_settings_are_read_per_table() -> None:
    given = Given.parse(stream=["public.orders:cursor=updated_at", "public.orders:key=a,b"])

    assert given.streams == {"public.orders": {"cursor": "updated_at", "key": ["a", "b"]}}


def test_a_stream_setting_without_a_table_is_refused() -> None:
    with pytest.raises(ConfigError, match="names no table"):
        Given.parse(stream=["cursor=updated_at"])


def test_a_person_is_asked_for_what_is_missing_and_secrets_are_not_shown(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sys.stdin", Keyboard("db\n"))
    monkeypatch.setattr(connecting, "getpass", lambda *_, **__: "typed")

    config = gather(ShopSource, Given.parse())

    out, err = capsys.readouterr()
    assert config == {"host": "db", "password": "typed"}
    assert out == ""
    assert "host (Where it is)" in err
