"""Characters that are not seen but obeyed: a terminal's commands, changes of direction, tags that spell hidden text."""

from __future__ import annotations

import re

_UNSEEN = re.compile(
    "[\x00-\x1f\x7f-\x9f\u00ad\u061c\u180e\u200b-\u200f\u2028-\u202e\u2060-\u206f\ud800-\udfff\ufeff\ufff9-\ufffb"
    "\U000e0000-\U000e0fff]"
)
_UNSEEN_BUT_WRITING = re.compile("[\t\n\r\u200c\u200d]")
_SHORT = {"\t": "\\t", "\n": "\\n", "\r": "\\r"}


def visible(text: str) -> str:
    """Return the text with such characters, line ends among them, written as escapes."""
    return _UNSEEN.sub(_escaped, text)


def visible_lines(text: str) -> str:
    """Return the text with its lines as they are and every other such character written as an escape."""
    return "\n".join(map(visible, text.split("\n")))


def hides_something(text: str) -> bool:
    """Tell whether the text holds such characters, but for those that ordinary writing needs."""
    return _UNSEEN.search(_UNSEEN_BUT_WRITING.sub("", text)) is not None


def _escaped(found: re.Match[str]) -> str:
    code = ord(found[0])
    return _SHORT.get(found[0]) or (f"\\x{code:02x}" if code < 0x100 else f"\\u{{{code:x}}}")
