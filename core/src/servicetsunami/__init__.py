"""ServiceTsunami: connect a source, bring its tables into a lakehouse, ask questions."""

from importlib.metadata import version

__version__ = version("servicetsunami")
