"""The command line front, `tsunami`."""


def main() -> None:
    """Run the command line."""
