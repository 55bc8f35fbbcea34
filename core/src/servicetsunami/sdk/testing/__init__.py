"""The certification kit: contract suites that every connector and sink passes."""
