"""Write what clients install: plugin, marketplace, bundle, registry entry and links, all from the package itself.

`python clients/generate.py` writes the files; with `--check` it only says which are not up to date.
"""

from __future__ import annotations

import base64
import json
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

from servicetsunami.mcp.catalog import build_catalog
from servicetsunami.plugins import discover
from servicetsunami.sdk import Json

ROOT = Path(__file__).resolve().parents[1]
PROJECT: Json = tomllib.loads((ROOT / "core/pyproject.toml").read_text(encoding="utf-8"))["project"]
NAME, VERSION, ABOUT = str(PROJECT["name"]), str(PROJECT["version"]), str(PROJECT["description"])
TITLE = "ServiceTsunami"
SERVER = "lakehouse"
REGISTRY_NAME = f"io.github.{NAME}/{NAME}"
PACKAGE = f"{NAME}[postgres,lakehouse]=={VERSION}"
AUTHOR: Json = {"name": PROJECT["authors"][0]["name"]}
RUN: Json = {"command": "uvx", "args": ["--from", PACKAGE, "tsunami", "serve"]}
AGAIN = "run `python clients/generate.py` and commit what it writes"


def files() -> Iterator[tuple[str, str]]:
    """Yield every file by its path in the repository."""
    yield ".claude-plugin/marketplace.json", _json(marketplace())
    yield "clients/claude-code/.claude-plugin/plugin.json", _json(plugin())
    yield "clients/mcpb/manifest.json", _json(bundle())
    yield "clients/mcpb/pyproject.toml", bundle_project()
    yield "clients/server.json", _json(registry_entry())
    yield "clients/links.md", links()


def marketplace() -> Json:
    """Return the list of plugins of this repository, for `claude plugin marketplace add`."""
    entry = {"name": NAME, "source": "./clients/claude-code", "description": ABOUT, "version": VERSION}
    return {"name": NAME, "description": f"Plugins of {TITLE}", "owner": AUTHOR, "plugins": [entry]}


def plugin() -> Json:
    """Return the manifest of the Claude Code plugin; its skills lie beside it."""
    return {
        "name": NAME,
        "version": VERSION,
        "description": ABOUT,
        "author": AUTHOR,
        "license": PROJECT["license"],
        "keywords": PROJECT["keywords"],
        "mcpServers": {SERVER: RUN},
    }


def bundle() -> Json:
    """Return the manifest of the Claude Desktop extension.

    What people choose is passed as arguments: some builds of Claude Desktop do not pass on the environment
    (https://github.com/modelcontextprotocol/mcpb/issues/297).
    """
    chosen = ["--tenant", "${user_config.tenant}", "--setting", "read_only=${user_config.read_only}"]
    arguments = ["run", "--directory", "${__dirname}", "server.py", *chosen, "serve"]
    return {
        "manifest_version": "0.4",
        "name": NAME,
        "display_name": TITLE,
        "version": VERSION,
        "description": ABOUT,
        "author": AUTHOR,
        "license": PROJECT["license"],
        "keywords": PROJECT["keywords"],
        "server": {
            "type": "uv",
            "entry_point": "server.py",
            "mcp_config": {"command": "uv", "args": arguments},
        },
        "tools": list(tools()),
        "tools_generated": True,
        "prompts_generated": True,
        "compatibility": {
            "platforms": ["darwin", "linux", "win32"],
            "runtimes": {"python": PROJECT["requires-python"]},
        },
        "user_config": choices(),
    }


def choices() -> Json:
    """Return what Claude Desktop asks for when the extension is installed."""
    return {
        "tenant": {
            "type": "string",
            "title": "Tenant",
            "description": "Whose connections and tables these are; `default` on a machine of your own.",
            "default": "default",
            "required": True,
        },
        "read_only": {
            "type": "boolean",
            "title": "Only look and ask",
            "description": "Whether nothing may be connected, synced or deleted from Claude Desktop.",
            "default": False,
            "required": True,
        },
    }


def tools() -> Iterator[Json]:
    """Yield the tools with the plugins that the bundle installs."""
    plugins = discover()
    for tool in build_catalog(plugins.connectors, plugins.sinks["lakehouse"]).listed:
        yield {"name": tool.name, "description": tool.title}


def bundle_project() -> str:
    """Return the project that uv installs inside the bundle."""
    return (
        "# Written by clients/generate.py.\n[project]\n"
        f'name = "{NAME}-desktop"\nversion = "{VERSION}"\n'
        f'requires-python = "{PROJECT["requires-python"]}"\ndependencies = ["{PACKAGE}"]\n'
    )


def registry_entry() -> Json:
    """Return the entry of the MCP registry; where packages come from is the reader's choice."""
    package = {
        "registryType": "pypi",
        "identifier": NAME,
        "version": VERSION,
        "runtimeHint": "uvx",
        "runtimeArguments": [{"type": "named", "name": "--with", "value": PACKAGE}],
        "packageArguments": [{"type": "positional", "value": "serve"}],
        "transport": {"type": "stdio"},
    }
    return {
        "$schema": "https://static.modelcontextprotocol.io/schemas/2025-12-11/server.schema.json",
        "name": REGISTRY_NAME,
        "title": TITLE,
        "description": ABOUT,
        "version": VERSION,
        "packages": [package],
    }


def links() -> str:
    """Return a page of links that make Cursor and VS Code install the server."""
    cursor = f"name={SERVER}&config={quote(base64.b64encode(_compact(RUN).encode()).decode(), safe='')}"
    typed = {"type": "stdio", **RUN}
    code = _compact({"name": SERVER, **typed})
    rows = [
        ("Cursor, from a web page", f"https://cursor.com/en/install-mcp?{cursor}"),
        ("Cursor, directly", f"cursor://anysphere.cursor-deeplink/mcp/install?{cursor}"),
        (
            "VS Code, from a web page",
            f"https://insiders.vscode.dev/redirect/mcp/install?name={SERVER}&config={quote(_compact(typed), safe='')}",
        ),
        ("VS Code, directly", f"vscode:mcp/install?{quote(code, safe='')}"),
        ("VS Code, in a terminal", f"code --add-mcp '{code}'"),
    ]
    body = "\n\n".join(f"{label}:\n\n```text\n{link}\n```" for label, link in rows)
    head = "# Links that install the server\n\nWritten by `clients/generate.py`. They need `uv` on the `PATH`."
    return f"{head}\n\n{body}\n"


def stale() -> list[str]:
    """Return the paths of the files that are not what they should be."""
    return [
        path
        for path, text in files()
        if not (ROOT / path).is_file() or (ROOT / path).read_text(encoding="utf-8") != text
    ]


def main(arguments: list[str]) -> int:
    """Write the files, or check them."""
    if arguments == ["--check"]:
        wrong = stale()
        sys.stderr.write("".join(f"{path} is not up to date: {AGAIN}\n" for path in wrong))
        return 1 if wrong else 0
    for path, text in files():
        (ROOT / path).parent.mkdir(parents=True, exist_ok=True)
        (ROOT / path).write_text(text, encoding="utf-8", newline="\n")
    return 0


def _json(value: Json) -> str:
    return json.dumps(value, indent=2, ensure_ascii=False) + "\n"


def _compact(value: Json) -> str:
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
