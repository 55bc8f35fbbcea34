"""The certification kit: contract suites that every connector and sink passes."""

from servicetsunami.sdk.testing.context import LocalContext

__all__ = ["LocalContext"]
