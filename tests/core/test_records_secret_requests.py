"""Requests for secrets that wait in the records: bounded for each subject, so that nobody fills the database."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from servicetsunami.records import SecretRequest, open_records, open_vault
from servicetsunami.records.secret_requests import MOST_OF_ONE

pytestmark = pytest.mark.anyio


def request(number: int, subject: str = "ada") -> SecretRequest:
    return SecretRequest(
        id=f"{subject}-{number}",
        tenant="acme",
        subject=subject,
        connector="postgres",
        name="shop",
        settings={},
        streams={},
        secret_refs={},
        fields=("password",),
        expires_at=datetime.now(UTC) + timedelta(minutes=5, seconds=number),
    )


async def test_the_oldest_requests_of_a_subject_go_first_and_nobody_elses(tmp_path: Path) -> None:
    records = await open_records(f"sqlite:///{tmp_path / 'records.db'}", open_vault(tmp_path, master_key=None))
    await records.create_tenant("acme")
    await records.create_secret_request(request(0, "eve"))

    for number in range(MOST_OF_ONE + 2):
        await records.create_secret_request(request(number))

    kept = await records.secret_requests("acme", "ada")
    others = await records.secret_requests("acme", "eve")
    await records.close()
    assert [one.id for one in kept] == [f"ada-{number}" for number in range(MOST_OF_ONE + 1, 1, -1)]
    assert [one.id for one in others] == ["eve-0"]
