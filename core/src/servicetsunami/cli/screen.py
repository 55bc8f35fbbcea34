"""What people see: data on standard output, talk on standard error; rich on a terminal, plain text off it."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any, TextIO

from servicetsunami.cli.problems import problem_lines

if TYPE_CHECKING:
    from rich.console import Console

    from servicetsunami.sdk import Problem

Rows = Iterable[Sequence[Any]]
_PROBLEM_STYLES = {"error": "bold red", "fix": "green", "did you mean": "green"}


class Screen:
    """Two streams, each shown as what it is."""

    def __init__(self, out: TextIO | None = None, err: TextIO | None = None) -> None:
        self._out = out or sys.stdout
        self._err = err or sys.stderr

    @property
    def is_terminal(self) -> bool:
        """True where a person looks at the talk."""
        return self._err.isatty()

    def json(self, text: str) -> None:
        """Write a JSON document to standard output, and nothing else."""
        _put(self._out, text)

    def line(self, text: str = "", style: str = "") -> None:
        """Write a line of data."""
        _write(self._out, text, style)

    def talk(self, text: str = "", style: str = "") -> None:
        """Write a line of talk."""
        _write(self._err, text, style)

    def table(self, header: Sequence[str], rows: Rows) -> None:
        """Write a table of data; cells are shown as they are, with control characters made visible."""
        shown = [[cell_text(value) for value in row] for row in rows]
        if self._out.isatty():
            _console(self._out).print(rich_table(header, shown))
            return
        for text in plain_table(header, shown):
            _put(self._out, text)

    def talk_console(self) -> Console:
        """Return rich's way to the talk, for what moves."""
        return _console(self._err)

    def problem(self, problem: Problem) -> None:
        """Show an error."""
        for number, (label, text) in enumerate(problem_lines(problem)):
            head = f"{label}: " if number == 0 else f"  {label}: "
            self.talk(head + visible(text), _PROBLEM_STYLES.get(label, ""))


def cell_text(value: Any) -> str:
    """Return a cell as text on one line."""
    if value is None:
        return "NULL"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, int):
        return str(value)
    return visible(str(value))


def visible(text: str) -> str:
    """Return text in which what a terminal would obey, such as escape sequences in a source's data, is shown."""
    if text.isprintable():
        return text
    return "".join(one if one.isprintable() else repr(one)[1:-1] for one in text)


def plain_table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    """Lay out a table as aligned columns; nothing is cut off."""
    lines = [header, *rows]
    widths = [max(len(line[index]) for line in lines) for index in range(len(header))]
    return ["  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip() for line in lines]


def rich_table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> Any:
    """Lay out a table for a terminal."""
    from rich import box
    from rich.table import Table
    from rich.text import Text

    table = Table(box=box.SIMPLE_HEAD, header_style="bold", pad_edge=False)
    for index, name in enumerate(header):
        numeric = bool(rows) and all(_is_number(row[index]) for row in rows)
        table.add_column(Text(name), justify="right" if numeric else "left", overflow="fold")
    for row in rows:
        table.add_row(*(Text(cell, style="dim" if cell == "NULL" else "") for cell in row))
    return table


def _is_number(text: str) -> bool:
    return text == "NULL" or text.lstrip("-").replace(",", "").replace(".", "", 1).isdigit()


def _write(stream: TextIO, text: str, style: str) -> None:
    if style and stream.isatty():
        from rich.text import Text

        _console(stream).print(Text(text, style=style), soft_wrap=True)
        return
    _put(stream, text)


def _put(stream: TextIO, text: str) -> None:
    stream.write(f"{text}\n")
    # Whoever follows a pipe sees each line when it is said.
    stream.flush()


def _console(stream: TextIO) -> Console:
    from rich.console import Console

    return Console(file=stream, highlight=False)
