"""The certification kit: contract suites that every connector, change feed and sink passes.

In a connector's own tests:

    class TestNotesContract(SourceContract):
        connector = Notes
        bad_configs = ({"path": "missing.jsonl"},)

        @pytest.fixture
        def config(self, tmp_path):
            return {"path": str(tmp_path / "notes.jsonl")}
"""

from servicetsunami.sdk.testing.changelog import FeedProbe
from servicetsunami.sdk.testing.context import LocalContext
from servicetsunami.sdk.testing.feed import FeedContract
from servicetsunami.sdk.testing.probe import SinkProbe, SourceProbe, failing_checks
from servicetsunami.sdk.testing.sink import SinkContract
from servicetsunami.sdk.testing.source import SourceContract
from servicetsunami.sdk.testing.warehouse import WarehouseContract

__all__ = [
    "FeedContract",
    "FeedProbe",
    "LocalContext",
    "SinkContract",
    "SinkProbe",
    "SourceContract",
    "SourceProbe",
    "WarehouseContract",
    "failing_checks",
]
