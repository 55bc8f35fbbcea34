"""A secret that is known never comes out, in whatever form; one that looks like a secret neither."""

import base64
import io
import json
import logging
import urllib.parse
from collections.abc import Callable, Iterator

import pytest

from servicetsunami.runtime import Redactor, configure_logging

_SECRET = 'Zx9"\\/#pä ß+k'
_FORMS: dict[str, Callable[[str], str]] = {
    "raw": str,
    "json": json.dumps,
    "json, not only ascii": lambda secret: json.dumps(secret, ensure_ascii=False),
    "repr": repr,
    "url, all quoted": lambda secret: urllib.parse.quote(secret, safe=""),
    "url path": urllib.parse.quote,
    "form": urllib.parse.quote_plus,
    "url in lower case": lambda secret: urllib.parse.quote(secret, safe="").lower(),
    "hex": lambda secret: secret.encode().hex(),
    "HEX": lambda secret: secret.encode().hex().upper(),
    "base64": lambda secret: base64.b64encode(secret.encode()).decode(),
    "base64, url": lambda secret: base64.urlsafe_b64encode(secret.encode()).decode(),
    "basic, shifted 1": lambda secret: base64.b64encode(b"ada:" + secret.encode()).decode(),
    "basic, shifted 2": lambda secret: base64.b64encode(b"lovelace:x" + b":" + secret.encode()).decode(),
    "basic, shifted 0": lambda secret: base64.b64encode(b"ab" + b":" + secret.encode()).decode(),
}


@pytest.fixture
def root_logger() -> Iterator[logging.Logger]:
    root = logging.getLogger()
    handlers, level = list(root.handlers), root.level
    yield root
    root.handlers[:] = handlers
    root.setLevel(level)


@pytest.mark.parametrize("form", _FORMS)
def test_a_known_secret_is_masked_in_every_form(form: str) -> None:
    written = _FORMS[form](_SECRET)

    shown = Redactor([_SECRET]).text(f"before {written} after")

    core = written.strip("\"'=")[-10:-3]
    assert core not in shown
    assert (shown.startswith("before "), shown.endswith(" after")) == (True, True)


def test_text_without_secrets_stays_as_it_is() -> None:
    text = (
        "synced 3 rows of bronze.customers from https://db.example.com:5432/shop in 0.2 s; token ring, password reset"
    )

    assert Redactor([_SECRET]).text(text) == text


def test_a_secret_that_contains_another_is_masked_whole() -> None:
    redactor = Redactor(["hunter2", "hunter2-long-form"])

    assert redactor.text("it is hunter2-long-form") == "it is ***"


def test_a_value_of_three_characters_does_not_tear_words_apart() -> None:
    assert Redactor(["abc", ""]).text("abcess") == "abcess"


@pytest.mark.parametrize(
    ("text", "masked"),
    [
        ("postgresql://ada:s3cret@db/shop", "postgresql://ada:***@db/shop"),
        ("https://:s3cret@db/shop", "https://:***@db/shop"),
        ("postgresql://ada:s3/cr#et@db/shop", "postgresql://ada:***@db/shop"),
        ("host=db password=s3cret user=ada", "host=db password=*** user=ada"),
        ("password='s3 cret' user=ada", "password=*** user=ada"),
        ('{"password": "s3cret", "user": "ada"}', '{"password": ***, "user": "ada"}'),
        ("client_secret=s3cret&x=1", "client_secret=***&x=1"),
        ("api_key: s3cret", "api_key: ***"),
        ("Authorization: Bearer s3cret.s3cret", "Authorization: Bearer ***"),
        ("-----BEGIN PRIVATE KEY-----\ns3cret\n-----END PRIVATE KEY-----", "***"),
        ("-----BEGIN RSA PRIVATE KEY-----\ns3cret cut off", "***"),
    ],
)
def test_what_looks_like_a_secret_is_masked_although_nobody_told(text: str, masked: str) -> None:
    assert Redactor().text(text) == masked


def test_nested_values_are_masked_and_numbers_kept() -> None:
    redactor = Redactor(["hunter2"])

    shown = redactor.value({"rows": 3, "parts": ["hunter2", {"password": "unknown one"}], "cause": OSError("hunter2")})

    assert shown == {"rows": 3, "parts": ["***", {"password": "***"}], "cause": "***"}


def test_the_redactor_itself_tells_nothing() -> None:
    assert "hunter2" not in repr(Redactor(["hunter2"]))


@pytest.mark.parametrize("fmt", ["console", "json"])
def test_a_log_record_is_masked_in_message_arguments_and_traceback(root_logger: logging.Logger, fmt: str) -> None:
    stream, redactor = io.StringIO(), Redactor(["hunter2"])
    configure_logging("debug", "json" if fmt == "json" else "console", redactor, stream=stream)

    try:
        raise OSError("cannot connect with hunter2")
    except OSError:
        root_logger.exception("failed for %s", "hunter2", extra={"dsn": "hunter2"})

    written = stream.getvalue()
    assert "hunter2" not in written
    assert "cannot connect with ***" in written
    assert "failed for ***" in written


def test_off_a_terminal_each_record_is_one_line_of_json(root_logger: logging.Logger) -> None:
    stream = io.StringIO()
    configure_logging("info", "auto", Redactor(), stream=stream)

    root_logger.info("first\nline")
    root_logger.debug("not asked for")

    (line,) = stream.getvalue().splitlines()
    record = json.loads(line)
    assert (record["event"], record["level"], record["logger"]) == ("first\nline", "info", "root")
    assert record["timestamp"].endswith("Z")


def test_local_variables_never_show_in_a_traceback(root_logger: logging.Logger) -> None:
    stream = io.StringIO()
    configure_logging("info", "console", Redactor(), stream=stream)
    credentials = "".join(["local", "canary"])

    try:
        raise OSError(f"{len(credentials)} characters")
    except OSError:
        root_logger.exception("failed")

    assert "OSError: 11 characters" in stream.getvalue()
    assert "localcanary" not in stream.getvalue()


def test_configuring_twice_writes_each_record_once(root_logger: logging.Logger) -> None:
    stream = io.StringIO()
    configure_logging("info", "json", Redactor(), stream=stream)
    configure_logging("info", "json", Redactor(), stream=stream)

    root_logger.info("once")

    assert len(stream.getvalue().splitlines()) == 1
