"""The connector passes the contract of every connector."""

from pathlib import Path
from typing import Any

import pytest

from servicetsunami.sdk.testing import SourceContract
from servicetsunami_files import FilesSource

ORDERS = """\
id,customer,amount,placed
1,Ada,12.50,2024-05-01
2,"Grace, Rear Admiral",7.25,2024-05-02
3,,0.10,2024-05-03
"""


class TestFilesContract(SourceContract):
    connector = FilesSource
    bad_configs = ({"location": "no-such-folder"}, {"streams": {"orders": "nothing_*.csv"}}, {"location": "../x"})

    @pytest.fixture
    def config(self, tmp_path: Path) -> dict[str, Any]:
        folder = tmp_path / "exports"
        (folder / "visits").mkdir(parents=True)
        (folder / "orders.csv").write_text(ORDERS, encoding="utf-8")
        for month in ("01", "02", "03"):
            (folder / "visits" / f"{month}.csv").write_text(
                f"day,count\n2024-{month}-01,{month[1]}\n", encoding="utf-8"
            )
        return {"location": "exports"}
