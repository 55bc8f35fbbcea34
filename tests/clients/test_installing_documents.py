"""Changing one member of somebody's settings, and nothing else."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from servicetsunami.cli.installing.document import Document
from servicetsunami.sdk import ConfigError

ENTRY = {"command": "/opt/python", "args": ["-m", "servicetsunami.cli"]}
PATH = ("mcpServers", "lakehouse")
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)
OBJECTS = st.dictionaries(st.text(), VALUES, max_size=4)


def document(text: str) -> Document:
    return Document(text, "the file")


@given(
    servers=st.none() | OBJECTS,
    others=OBJECTS,
    indent=st.sampled_from([None, 2, 4, "\t"]),
    ascii_only=st.booleans(),
)
def test_an_entry_comes_and_goes_and_the_rest_stays(
    servers: dict[str, Any] | None, others: dict[str, Any], indent: Any, ascii_only: bool
) -> None:
    rest = {**others, **({} if servers is None else {"mcpServers": servers})}
    if servers is None:
        rest.pop("mcpServers", None)
    text = json.dumps(rest, indent=indent, ensure_ascii=ascii_only)

    added = document(text).with_member(PATH, ENTRY)
    removed = document(added).without_member(PATH)

    assert json.loads(added) == {**rest, "mcpServers": {**(servers or {}), "lakehouse": ENTRY}}
    assert json.loads(removed) == {
        **rest,
        "mcpServers": {name: value for name, value in (servers or {}).items() if name != "lakehouse"},
    }


BEFORE = """{
    "numbers": [1.0, 1e5,   2],
    "mcpServers": {
        "other": { "command": "x", "env": {"TOKEN": "t"} }
    },
    "last"  : "\\u00e9"
}
"""


def test_an_entry_is_written_in_the_form_of_the_file_and_no_other_byte_changes() -> None:
    after = document(BEFORE).with_member(PATH, {"command": "y"})

    ours = ',\n        "lakehouse": {\n            "command": "y"\n        }'
    assert after.replace(ours, "") == BEFORE
    assert document(after).without_member(PATH) == BEFORE


def test_line_ends_of_windows_stay() -> None:
    after = document(BEFORE.replace("\n", "\r\n")).with_member(PATH, {"command": "y"})

    assert after.count("\n") == after.count("\r\n")


def test_an_empty_file_becomes_a_document() -> None:
    assert json.loads(document(" \n").with_member(PATH, ENTRY)) == {"mcpServers": {"lakehouse": ENTRY}}


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ('{"a": "canary-31c9",', "client_config_broken"),
        ("[" * 100_000, "client_config_broken"),
        ('{\n  // canary-31c9\n  "a": 1\n}', "client_config_commented"),
        ('{"a": [1, 2, ], /* canary-31c9 */ }', "client_config_commented"),
        ('{"a": "no // comment", }', "client_config_commented"),
        ("[]", "client_config_unexpected"),
        ('{"mcpServers": ["canary-31c9"]}', "client_config_unexpected"),
    ],
    ids=["cut off", "too deep", "comment", "trailing comma", "slashes in a text", "no object", "a list of servers"],
)
def test_what_cannot_be_changed_safely_is_refused_without_repeating_it(text: str, code: str) -> None:
    with pytest.raises(ConfigError) as raised:
        document(text).with_member(PATH, ENTRY)

    assert raised.value.code == code
    assert "canary" not in repr(raised.value.problem())
