"""`tsunami install` and `tsunami uninstall`, with homes of their own."""

from __future__ import annotations

import json
import shlex
import stat
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from servicetsunami.cli.exits import Exit
from servicetsunami.cli.installing.clients import CLIENTS, Machine, client_of, file_of, path_to_section
from servicetsunami.cli.installing.files import replace_text
from servicetsunami.cli.running import run
from servicetsunami.sdk import TransientError

COMMAND = [sys.executable, "-P", "-m", "servicetsunami.cli", "serve"]
CANARY = "canary-90ab"
FILES = {
    "claude-desktop": (".config/Claude/claude_desktop_config.json", "mcpServers"),
    "cursor": (".cursor/mcp.json", "mcpServers"),
    "vscode": (".config/Code/User/mcp.json", "servers"),
}


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for variable in ("XDG_CONFIG_HOME", "CLAUDE_CONFIG_DIR", "TSUNAMI_HOME", "TSUNAMI_TENANT"):
        monkeypatch.delenv(variable, raising=False)
    folder = tmp_path / "user"
    (folder / "project").mkdir(parents=True)
    monkeypatch.setenv("HOME", str(folder))
    monkeypatch.setattr(sys, "platform", "linux")
    monkeypatch.chdir(folder / "project")
    return folder


@pytest.fixture
def claude(home: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A stand-in for Claude Code's command, which keeps servers where the real one does."""
    program = home / "bin/claude"
    program.parent.mkdir()
    program.write_text(f"#!{sys.executable}\n" + CLAUDE, encoding="utf-8")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(program.parent))
    return home / ".claude.json"


CLAUDE = """
import json, pathlib, sys
file = pathlib.Path.home() / ".claude.json"
kept = json.loads(file.read_text()) if file.exists() else {}
_, verb, name, *rest = sys.argv[1:]
servers = kept.setdefault("mcpServers", {})
if verb == "remove":
    sys.exit(1) if name not in servers else servers.pop(name)
elif "--transport" in rest:
    servers[name] = {"type": "http", "url": rest[-1]}
else:
    options, command = rest[: rest.index("--")], rest[rest.index("--") + 1 :]
    pairs = [options[at + 1] for at, one in enumerate(options) if one == "--env"]
    env = dict(pair.split("=", 1) for pair in pairs)
    servers[name] = {"type": "stdio", "command": command[0], "args": command[1:], "env": env}
file.write_text(json.dumps(kept, indent=2))
"""


def load(file: Path) -> Any:
    return json.loads(file.read_text(encoding="utf-8"))


@pytest.mark.parametrize("client", FILES)
def test_a_client_is_set_up_with_absolute_paths_in_a_private_file(client: str, home: Path) -> None:
    name, section = FILES[client]

    code = run(["install", client])

    entry = load(home / name)[section]["lakehouse"]
    assert code == Exit.OK
    assert [entry["command"], *entry["args"]] == COMMAND
    assert "env" not in entry
    assert stat.S_IMODE((home / name).stat().st_mode) == 0o600


@pytest.mark.parametrize("client", FILES)
def test_the_second_time_nothing_is_done(client: str, home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run(["install", client])
    file = home / FILES[client][0]
    before = file.stat().st_mtime_ns

    code = run(["install", client])

    assert (code, file.stat().st_mtime_ns) == (Exit.OK, before)
    assert "Already installed" in capsys.readouterr().out
    assert [one.name for one in file.parent.iterdir()] == [file.name]


def test_other_entries_stay_and_the_old_file_is_kept(home: Path) -> None:
    file = home / ".cursor/mcp.json"
    file.parent.mkdir()
    file.write_text('{"x": 1, "mcpServers": {"other": {"env": {"TOKEN": "t"}}}}', encoding="utf-8")
    file.chmod(0o640)
    before = file.read_bytes()

    run(["install", "cursor"])
    run(["uninstall", "cursor"])

    backups = sorted(one.name for one in file.parent.iterdir())
    assert backups == ["mcp.json", "mcp.json.before-tsunami", "mcp.json.before-tsunami-2"]
    assert (file.parent / "mcp.json.before-tsunami").read_bytes() == file.read_bytes() == before
    assert stat.S_IMODE(file.stat().st_mode) == 0o640


def test_a_file_that_its_program_changed_meanwhile_is_left_as_it_is(home: Path) -> None:
    file = home / "mcp.json"
    file.write_text("newer", encoding="utf-8")

    with pytest.raises(TransientError) as raised:
        replace_text(file, "older", "ours")

    assert raised.value.code == "client_config_changed"
    assert {one.name: one.is_dir() or one.read_text("utf-8") for one in home.iterdir()} == {
        "mcp.json": "newer",
        "project": True,
    }


def test_a_link_to_the_file_stays_a_link(home: Path) -> None:
    real = home / "dotfiles/mcp.json"
    real.parent.mkdir()
    real.write_text("{}", encoding="utf-8")
    (home / ".cursor").mkdir()
    (home / ".cursor/mcp.json").symlink_to(real)

    run(["install", "cursor"])

    assert (home / ".cursor/mcp.json").is_symlink()
    assert "lakehouse" in load(real)["mcpServers"]


def test_settings_go_along_and_secrets_never(
    home: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("TSUNAMI_HOME", str(home / "lake"))
    monkeypatch.setenv("TSUNAMI_MASTER_KEY", CANARY * 8)
    monkeypatch.setenv("DATABRICKS_TOKEN", CANARY)
    monkeypatch.setenv("TSUNAMI_RECORDS_URL", f"postgresql://u:{CANARY}@db/x")

    run(["--tenant", "acme", "install", "cursor", "--json"])

    said = capsys.readouterr()
    entry = load(home / ".cursor/mcp.json")["mcpServers"]["lakehouse"]
    assert entry["env"] == {"TSUNAMI_HOME": str(home / "lake"), "TSUNAMI_TENANT": "acme"}
    assert CANARY not in said.out + said.err + (home / ".cursor/mcp.json").read_text("utf-8")
    assert "TSUNAMI_MASTER_KEY" in " ".join(json.loads(said.out)["notes"])


def test_what_somebody_added_to_the_entry_stays_and_is_not_shown(
    home: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    file = home / ".cursor/mcp.json"
    file.parent.mkdir()
    env = {"TSUNAMI_HOME": "/old", "SHOP_PASSWORD": CANARY, "TSUNAMI_MASTER_KEY": CANARY}
    old = {"command": "old", "args": [], "env": env, "disabled": False}
    file.write_text(json.dumps({"mcpServers": {"lakehouse": old}}), encoding="utf-8")
    monkeypatch.setenv("TSUNAMI_HOME", "/new")

    run(["install", "cursor", "--dry-run"])
    planned = load(file)["mcpServers"]["lakehouse"]
    run(["install", "cursor"])

    entry = load(file)["mcpServers"]["lakehouse"]
    assert planned == old
    assert entry["env"] == {**env, "TSUNAMI_HOME": "/new"}
    assert entry["disabled"] is False
    assert CANARY not in capsys.readouterr().out


def test_a_dry_run_shows_the_change_and_makes_none(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code = run(["install", "vscode", "--dry-run"])

    out = capsys.readouterr().out
    assert code == Exit.OK
    assert out.startswith("Would change 'lakehouse' in VS Code")
    assert '+  "type": "stdio",' in out.splitlines()
    assert not (home / ".config").exists()


def test_a_print_is_only_what_to_paste(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run(["install", "vscode", "--print", "--name", "lake"])

    said = capsys.readouterr()
    assert json.loads(said.out)["servers"]["lake"]["command"] == sys.executable
    assert not (home / ".config").exists()


@pytest.mark.parametrize(("text", "code"), [("{", "client_config_broken"), ("{} // x", "client_config_commented")])
def test_a_file_that_cannot_be_changed_safely_is_left_as_it_is(
    text: str, code: str, home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = home / ".config/Code/User/mcp.json"
    file.parent.mkdir(parents=True)
    file.write_text(text, encoding="utf-8")

    exit_code = run(["install", "vscode"])

    assert exit_code == Exit.USAGE
    assert code in capsys.readouterr().err
    assert [one.read_text("utf-8") for one in file.parent.iterdir()] == [text]


def test_a_server_over_http_is_written_by_its_address(home: Path) -> None:
    run(["install", "cursor", "--url", "https://mcp.example.com/mcp"])
    run(["install", "vscode", "--url", "https://mcp.example.com/mcp", "--scope", "project"])

    assert load(home / ".cursor/mcp.json")["mcpServers"]["lakehouse"] == {"url": "https://mcp.example.com/mcp"}
    project = load(home / "project/.vscode/mcp.json")["servers"]["lakehouse"]
    assert project == {"type": "http", "url": "https://mcp.example.com/mcp"}


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (["install", "curser"], "client_unknown"),
        (["install", "cursor", "--scope", "projct"], "scope_unknown"),
        (["install", "cursor", "--name", "../x"], "name_invalid"),
        (["install", "claude-desktop", "--url", "https://x.example.com/mcp"], "client_takes_no_url"),
        (["install", "cursor", "--url", f"https://u:{CANARY}@x.example.com/mcp"], "bad_url"),
        (["install", "cursor", "--url", f"https://x.example.com/mcp?token={CANARY}"], "bad_url"),
        (["uninstall", "cursor"], "server_not_installed"),
    ],
)
def test_what_cannot_be_done_is_said_and_nothing_is_written(
    arguments: list[str], code: str, home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    exit_code = run(arguments)

    said = capsys.readouterr()
    assert exit_code in (Exit.USAGE, Exit.NOT_FOUND)
    assert code in said.err
    assert CANARY not in said.out + said.err
    assert not (home / ".cursor").exists()


def test_claude_code_is_set_up_through_its_own_command(
    claude: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("TSUNAMI_HOME", "/srv/lake")
    codes = [run(["install", "claude-code"]), run(["install", "claude-code"])]
    entry = load(claude)["mcpServers"]["lakehouse"]
    monkeypatch.setenv("TSUNAMI_HOME", "/srv/other")
    codes += [run(["install", "claude-code"])]
    changed = load(claude)["mcpServers"]["lakehouse"]
    codes += [run(["uninstall", "claude-code"])]

    words = [line.split()[0] for line in capsys.readouterr().out.splitlines()]
    assert codes == [Exit.OK] * 4
    assert words == ["Installed", "Already", "Updated", "Removed"]
    assert ([entry["command"], *entry["args"]], entry["env"]) == (COMMAND, {"TSUNAMI_HOME": "/srv/lake"})
    assert changed["env"] == {"TSUNAMI_HOME": "/srv/other"}
    assert load(claude)["mcpServers"] == {}


def test_what_somebody_added_for_claude_code_is_on_no_command_line(
    claude: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run(["install", "claude-code"])
    kept = load(claude)
    kept["mcpServers"]["lakehouse"]["env"] = {"SHOP_PASSWORD": CANARY}
    claude.write_text(json.dumps(kept), encoding="utf-8")
    (claude.parent / "bin/claude").unlink()
    monkeypatch.setenv("TSUNAMI_TENANT", "acme")

    code = run(["install", "claude-code"])

    assert code == Exit.OK
    assert load(claude)["mcpServers"]["lakehouse"]["env"] == {"SHOP_PASSWORD": CANARY, "TSUNAMI_TENANT": "acme"}


def test_claude_code_knows_a_project_by_its_repository(home: Path) -> None:
    (home / ".git").mkdir()
    machine = Machine("linux", home, {}, home / "project")

    path = path_to_section(client_of("claude-code"), "local", machine)

    assert path == ("projects", str(home), "mcpServers")


def test_claude_code_without_its_command_is_set_up_for_a_project_only(
    home: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("PATH", str(home))

    codes = [run(["install", "claude-code"]), run(["install", "claude-code", "--scope", "project"])]

    assert codes == [Exit.USAGE, Exit.OK]
    assert "claude_not_found" in capsys.readouterr().err
    assert load(home / "project/.mcp.json")["mcpServers"]["lakehouse"]["type"] == "stdio"


def test_a_command_of_claude_that_does_nothing_is_noticed(claude: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (claude.parent / "bin/claude").write_text("#!/bin/sh\nexit 0\n", encoding="utf-8")

    code = run(["install", "claude-code"])

    assert code == Exit.FAILED
    assert "claude_refused" in capsys.readouterr().err


def test_the_printed_command_of_claude_code_is_what_would_run(capsys: pytest.CaptureFixture[str]) -> None:
    run(["install", "claude-code", "--print"])

    words = shlex.split(capsys.readouterr().out)
    assert words == ["claude", "mcp", "add", "lakehouse", "--scope", "user", "--", *COMMAND]


@pytest.mark.parametrize(
    ("platform", "client", "file"),
    [
        ("darwin", "claude-desktop", "Library/Application Support/Claude/claude_desktop_config.json"),
        ("darwin", "vscode", "Library/Application Support/Code/User/mcp.json"),
        ("darwin", "cursor", ".cursor/mcp.json"),
        ("win32", "claude-desktop", "Roaming/Claude/claude_desktop_config.json"),
        ("win32", "vscode", "Roaming/Code/User/mcp.json"),
        ("linux", "claude-desktop", ".config/Claude/claude_desktop_config.json"),
    ],
)
def test_every_system_has_its_places(platform: str, client: str, file: str) -> None:
    machine = Machine(platform, Path("/u"), {"APPDATA": "/u/Roaming"}, Path("/p"))

    assert file_of(client_of(client), "user", machine) == Path("/u") / file


def test_the_installed_command_serves_from_any_folder(home: Path) -> None:
    (home / "project/servicetsunami.py").write_text("raise SystemExit('not ours')", encoding="utf-8")

    version = subprocess.run([*COMMAND[:-1], "--version"], capture_output=True, text=True, check=True, cwd=Path.cwd())

    assert version.stdout.startswith("tsunami ")


def test_every_client_is_named_in_the_guide() -> None:
    guide = (Path(__file__).parents[2] / "docs/how-to/install-in-a-client.md").read_text(encoding="utf-8")

    assert [name for name in CLIENTS if f"tsunami install {name}" not in guide] == []
