"""Rotating the master key while other processes go on sealing and opening."""

from __future__ import annotations

from functools import partial

from servicetsunami.records import credentials
from servicetsunami.records.database import Database
from servicetsunami.records.vault import Vault
from servicetsunami.sdk import PermanentError


async def rotate(database: Database, vault: Vault) -> int:
    """Seal every secret anew under the newest key, drop the older keys, and return how many were sealed.

    It may be killed at any moment: until the last step both keys are kept, and the next rotation completes this one.
    """
    await database.write(lambda db: credentials.begin_rotation(db, vault))
    count = await _reseal_all(database, vault)
    while not await database.write(lambda db: credentials.end_rotation(db, vault)):
        count += await _reseal_all(database, vault)
    return count


async def _reseal_all(database: Database, vault: Vault) -> int:
    count = 0
    problem: PermanentError | None = None
    after: tuple[str, str, str] | None = None
    while True:
        step = await database.write(partial(credentials.reseal, vault=vault, after=after))
        count, problem, after = count + step.count, problem or step.unreadable, step.last
        if after is None:
            break
    if problem is not None:
        raise problem
    return count
