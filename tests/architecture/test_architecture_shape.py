"""The size and the form of the code, and what may be in no file."""

from __future__ import annotations

import ast
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

from servicetsunami import sdk

ROOT = Path(__file__).resolve().parents[2]
SOURCES = [
    path
    for pattern in (
        "core/src",
        "connectors/*/src",
        "connectors_contrib/*/src",
        "lookalike/src",
        "sinks/*/src",
        "docs/examples/*/src",
    )
    for root in ROOT.glob(pattern)
    for path in sorted(root.rglob("*.py"))
]
SUPPRESSION = re.compile(r"#\s*(?:ruff:\s*)?(?:noqa|type:\s*ignore|pragma:\s*no cover)")
MACHINE = re.compile(r"(?<![\w.])/(?:work|root|home/\w+)/|localhost:\d+/simple|file:///")
PUBLIC_SDK = """
    API_VERSION AccessToken Address ArrowStream AuthError Cancelled Capability ChangeFeed Changes Checkpoint
    ColumnDetails Commit Config ConfigError Context DELETED_AT DataError Deletes Derives ENTRY_POINT_GROUP Evolve
    FileEntry Hooks Item Json Load Manifest NotFound NotebookLanguage NotebookPlace Notebooks OP
    PermanentError PermissionDenied Problem Provisions QueryLimits
    Queryable RESCUED RateLimited Read Rows SignIn Sink Source Split Splittable Stream TableDetails TableName
    TableSummary TokenRequest Transaction TransientError TsunamiError UNCHANGED Uploads Views Warehouse Watermark
    WriteMode capabilities hookimpl hookspec manifest nearest secret_fields
"""


def lines(path: Path) -> list[str]:
    return path.read_text(encoding="utf-8").splitlines()


def functions() -> Iterator[tuple[str, int]]:
    for path in SOURCES:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.end_lineno:
                yield f"{path.relative_to(ROOT)}:{node.name}", node.end_lineno - node.lineno + 1


def tracked() -> list[Path]:
    listing = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    return [path for path in map(ROOT.joinpath, listing.splitlines()) if path.is_file()]


def test_no_file_has_more_than_400_lines() -> None:
    assert {path.relative_to(ROOT).as_posix(): len(lines(path)) for path in SOURCES if len(lines(path)) > 400} == {}


def test_no_function_has_more_than_40_lines() -> None:
    assert {name: size for name, size in functions() if size > 40} == {}


def test_nine_functions_in_ten_have_at_most_30_lines() -> None:
    sizes = [size for _, size in functions()]

    assert sum(size <= 30 for size in sizes) >= 0.9 * len(sizes)


def test_a_check_is_switched_off_at_most_once_in_2000_lines() -> None:
    found = [
        f"{path.relative_to(ROOT)}: {line}" for path in SOURCES for line in lines(path) if SUPPRESSION.search(line)
    ]

    assert len(found) <= max(1, sum(len(lines(path)) for path in SOURCES) // 2000), found


def test_no_folder_of_tests_is_a_package() -> None:
    packages = [
        p
        for pattern in ("tests", "connectors/*/tests", "lookalike/tests", "sinks/*/tests")
        for p in ROOT.glob(f"{pattern}/**/__init__.py")
    ]

    assert packages == []


def test_test_files_have_names_of_their_own() -> None:
    names = [path.name for path in tracked() if path.name.startswith("test_") and path.suffix == ".py"]

    assert sorted(names) == sorted(set(names))


def test_identifiers_are_quoted_in_one_place_only() -> None:
    """Quoting is doubling the mark; nobody else doubles one."""
    doubling = {
        path.relative_to(ROOT).as_posix()
        for path in SOURCES
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Call)
        and getattr(node.func, "attr", "") == "replace"
        and [getattr(argument, "value", None) for argument in node.args] in (['"', '""'], ["`", "``"])
    }

    assert doubling == set()


def test_the_sdk_offers_these_names_and_no_others() -> None:
    assert sorted(sdk.__all__) == sorted(PUBLIC_SDK.split())
    assert [name for name in sdk.__all__ if not hasattr(sdk, name)] == []


def test_no_file_names_a_machine_of_ours() -> None:
    found = [
        f"{path.relative_to(ROOT)}:{number}"
        for path in tracked()
        if path.suffix in {".py", ".md", ".toml", ".json", ".txt", ".yml", ".yaml", ".sh", ".lock", ""}
        and path != Path(__file__)
        for number, line in enumerate(path.read_text(encoding="utf-8", errors="replace").splitlines(), 1)
        if MACHINE.search(line)
    ]

    assert found == []
