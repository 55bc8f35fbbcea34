"""`python -m servicetsunami.cli` is `tsunami`."""

from servicetsunami.cli import main

main()
