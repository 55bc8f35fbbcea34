"""Start the server inside Claude Desktop; uv has installed what `pyproject.toml` beside this file names."""

from servicetsunami.cli import main

main()
