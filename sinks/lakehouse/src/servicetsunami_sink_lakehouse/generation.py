"""Puts a generation that was loaded aside in the place of its table.

Its files get a second name in the table's folder, one commit names them and drops the old ones, then the folder aside
goes. A crash between any two steps leaves the table as it was or as it will be, and every step may be taken again.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path

from servicetsunami.sdk import Commit, Load, TsunamiError
from servicetsunami.sdk.delta import arrow_schema, evolved, landing
from servicetsunami_sink_lakehouse import log
from servicetsunami_sink_lakehouse.disk import link_into, make_folder, remove_folder, sync_folder
from servicetsunami_sink_lakehouse.failures import on_disk
from servicetsunami_sink_lakehouse.parts import Part, part_of
from servicetsunami_sink_lakehouse.snapshot import Snapshot, open_snapshot

logger = logging.getLogger(__name__)


def swap_in(table: Path, aside: Path, load: Load, last: Commit) -> None:
    """Make the table what the generation in `aside` is; a no-op if the app committed `last.seq` before."""
    if open_snapshot(table).committed(load.app).seq < last.seq:
        generation = open_snapshot(aside)
        parts = _moved(generation, table)
        log.commit(table, load.app, last, lambda now: _change(now, generation, load, parts))
    try:
        with on_disk("removing a generation"):
            remove_folder(aside)
    except TsunamiError as error:  # the replacement stands, and the folder is swept with the retention
        logger.debug("a generation was not removed: %s", error)


def _moved(generation: Snapshot, table: Path) -> Sequence[Part]:
    schema = arrow_schema(generation.columns)
    with on_disk("moving a generation into its table"):
        make_folder(table)
        for file in generation.files:
            link_into(generation.folder / file.name, table)
        sync_folder(table)
        return [part_of(table / file.name, schema) for file in generation.files]


def _change(now: Snapshot, generation: Snapshot, load: Load, parts: Sequence[Part]) -> log.Change:
    columns = generation.columns if generation.exists else landing(load, load.schema)
    if load.evolve == "freeze" and now.exists:
        columns = evolved(now.columns, columns, load.evolve)
    return log.Change("REPLACE", columns, parts, now.files, comment=load.comment, key=load.key)
