"""How each result looks to a person; `--json` goes past all of it."""
