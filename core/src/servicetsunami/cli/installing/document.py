"""Changing one member of a JSON document and not a byte of the rest."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from servicetsunami.sdk import ConfigError

_SPACE = re.compile(r"[ \t\r\n]*")
_INDENT = re.compile(r"\n([ \t]+)\S")
_NOT_JSON = re.compile(r'"(?:[^"\\\n]|\\.)*"|//[^\n]*|/\*.*?\*/|,(?=(?:\s|//[^\n]*|/\*.*?\*/)*[}\]])', re.DOTALL)
_DECODER = json.JSONDecoder()


@dataclass(frozen=True)
class _Member:
    key: str
    key_start: int
    value_start: int
    value_end: int


class Document:
    """A file of settings in JSON, as text."""

    def __init__(self, text: str, where: str) -> None:
        """Read it; raises `ConfigError` if it is not JSON, without repeating what it holds."""
        self.text = text if text.strip("\ufeff \t\r\n") else ""
        self._where = where
        self._value = _parsed(self.text, where) if self.text else {}
        self._unit = found[1] if (found := _INDENT.search(self.text)) else "  "
        self._line = "\r\n" if "\r\n" in self.text else "\n"
        self._flat = bool(self.text) and "\n" not in self.text.strip()

    def get(self, path: Sequence[str]) -> object:
        """Return the member at `path`, or None; raises `ConfigError` where what leads to it is no object."""
        value: Any = self._value
        for depth, key in enumerate(path):
            if not isinstance(value, dict):
                raise self._unexpected(path[:depth])
            if key not in value:
                return None
            value = value[key]
        return value

    def with_member(self, path: Sequence[str], value: object) -> str:
        """Return the text with `value` at `path`, the objects that lead to it made where they are missing."""
        self.get(path)
        if not self.text:
            return self._dumped(_nested(path, value), 0) + self._line
        start = self._top()
        for depth, key in enumerate(path):
            member = self._member(start, key)
            if member is None:
                return self._checked(self._inserted(start, depth, key, _nested(path[depth + 1 :], value)), path, value)
            start, end = member.value_start, member.value_end
        return self._checked(self.text[:start] + self._dumped(value, len(path)) + self.text[end:], path, value)

    def without_member(self, path: Sequence[str]) -> str:
        """Return the text without the member at `path`, which is there."""
        start = self._top()
        for key in path[:-1]:
            member = self._member(start, key)
            start = member.value_start if member else start
        members, end = self._members(start)
        at = max(number for number, member in enumerate(members) if member.key == path[-1])
        if len(members) == 1:
            return self.text[:start] + "{}" + self.text[end:]
        if at + 1 < len(members):
            return self.text[: members[at].key_start] + self.text[members[at + 1].key_start :]
        return self.text[: members[at - 1].value_end] + self.text[members[at].value_end :]

    def _inserted(self, start: int, depth: int, key: str, value: object) -> str:
        members, end = self._members(start)
        new = f"{json.dumps(key, ensure_ascii=False)}: {self._dumped(value, depth + 1)}"
        gap = " " if self._flat else self._line + self._unit * (depth + 1)
        if members:
            at = members[-1].value_end
            return f"{self.text[:at]},{gap}{new}{self.text[at:]}"
        closing = "" if self._flat else self._line + self._unit * depth
        return f"{self.text[:start]}{{{'' if self._flat else gap}{new}{closing}}}{self.text[end:]}"

    def _dumped(self, value: object, depth: int) -> str:
        if self._flat:
            return json.dumps(value, ensure_ascii=False)
        lines = json.dumps(value, ensure_ascii=False, indent=self._unit).split("\n")
        return (self._line + self._unit * depth).join(lines)

    def _top(self) -> int:
        return self.text.index("{")

    def _member(self, start: int, key: str) -> _Member | None:
        # Of two members with one name the last counts, as it does for whoever parses the document.
        return next((member for member in reversed(self._members(start)[0]) if member.key == key), None)

    def _members(self, start: int) -> tuple[list[_Member], int]:
        """Return the members of the object at `start`, and where it ends."""
        found: list[_Member] = []
        at = self._skip(start + 1)
        while self.text[at] != "}":
            key, end = _DECODER.raw_decode(self.text, at)
            value_start = self._skip(self._skip(end) + 1)
            _, value_end = _DECODER.raw_decode(self.text, value_start)
            found.append(_Member(key, at, value_start, value_end))
            at = self._skip(value_end)
            at = self._skip(at + 1) if self.text[at] == "," else at
        return found, at + 1

    def _skip(self, at: int) -> int:
        space = _SPACE.match(self.text, at)
        return space.end() if space else at

    def _checked(self, text: str, path: Sequence[str], value: object) -> str:
        """Return `text` if it says what it should: a fault of ours must not reach somebody's settings."""
        if Document(text, self._where).get(path) == value:
            return text
        raise self._unexpected(path)

    def _unexpected(self, path: Sequence[str]) -> ConfigError:
        what = ".".join(path) or "the whole of it"
        return ConfigError(
            f"{self._where} does not hold what its program would write ({what} is no object), so it was left as it is",
            code="client_config_unexpected",
            fix="correct it, or add --print and paste the entry yourself",
        )


def _nested(path: Sequence[str], value: object) -> object:
    for key in reversed(path):
        value = {key: value}
    return value


def _parsed(text: str, where: str) -> Any:
    try:
        return json.loads(text.removeprefix("\ufeff"))
    except RecursionError:
        why = "it is nested too deeply"
    except json.JSONDecodeError as error:
        if _is_json_with_comments(text):
            raise _commented(where) from None
        why = str(error)
    raise ConfigError(
        f"{where} is not JSON, so it was left as it is",
        code="client_config_broken",
        why=why,
        fix="correct it, or add --print and paste the entry yourself",
    )


def _is_json_with_comments(text: str) -> bool:
    plain = _NOT_JSON.sub(lambda found: found[0] if found[0].startswith('"') else " ", text)
    try:
        json.loads(plain.removeprefix("\ufeff"))
    except (json.JSONDecodeError, RecursionError):
        return False
    return True


def _commented(where: str) -> ConfigError:
    return ConfigError(
        f"{where} holds comments or trailing commas, which would be at risk, so it was left as it is",
        code="client_config_commented",
        fix="add --print and paste the entry yourself",
    )
