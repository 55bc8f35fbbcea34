"""Cleaning a bronze table into a silver one: a preview, or a run."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

from pydantic import TypeAdapter, ValidationError

from servicetsunami.operations.answers.warehouses import Elsewhere, with_warehouse
from servicetsunami.operations.events import Event
from servicetsunami.operations.models import RunView
from servicetsunami.operations.problems import first_problem
from servicetsunami.operations.read_only import changing
from servicetsunami.operations.sync import OnProgress, watch
from servicetsunami.operations.transforms import vocabulary as words
from servicetsunami.operations.transforms.models import CheckCount, RuleCount, TransformResult
from servicetsunami.records import Run, RunStatus
from servicetsunami.sdk import ConfigError, Json, Sink, TableName, Warehouse, nearest
from servicetsunami.sync import Progress, SyncOutcome

if TYPE_CHECKING:
    from servicetsunami.operations.app import App
    from servicetsunami.operations.caller import Caller
    from servicetsunami.operations.transforms.running import TransformJob

KIND = APP = "transform"
"""Kind of the runs, and who commits to the tables."""
SET_ASIDE = "transform-quarantine"
_LONGEST_SECONDS = 6 * 3600.0
_STEPS: TypeAdapter[tuple[words.Step, ...]] = TypeAdapter(tuple[words.Step, ...])
_CHECKS: TypeAdapter[tuple[words.Check, ...]] = TypeAdapter(tuple[words.Check, ...])


@dataclass(frozen=True)
class Wish:
    """What somebody asked for, as it was given."""

    source: str
    transformations: Sequence[Json] = ()
    checks: Sequence[Json] = ()
    target: str | None = None


async def preview_transform(app: App, caller: Caller, wish: Wish) -> TransformResult:
    """Show what a transform would do: counts, some rows before and after, and the statement. Nothing is written."""

    def work(sink: Sink[Any], warehouse: Warehouse) -> TransformResult:
        from servicetsunami.operations.transforms.previewing import previewed

        return previewed(_job(wish, "preview", sink.catalog()), sink, warehouse, app.settings.query_timeout_seconds)

    return await with_warehouse(app, caller, work)


@changing("nothing was transformed")
async def transform_to_silver(
    app: App,
    caller: Caller,
    wish: Wish,
    *,
    wait_seconds: float | None = None,
    on_progress: OnProgress | None = None,
) -> TransformResult:
    """Clean a bronze table into a silver one, as steps and checks say.

    Waits until the run has ended, or `wait_seconds`; the run goes on in any case.
    """
    catalog = f"tenant_{caller.tenant}"
    await with_warehouse(app, caller, partial(_check, wish))  # what cannot be done makes no run
    run = await app.runs.begin(_begin(app, caller, wish, catalog))
    view = await watch(app, caller, run.id, wait_seconds, on_progress)
    return _result(view, await app.records.run(caller.tenant, run.id), _job(wish, run.id, catalog), catalog)


def _check(wish: Wish, sink: Sink[Any], warehouse: Warehouse) -> None:
    from servicetsunami.operations.transforms.compiling import Compiled
    from servicetsunami.operations.transforms.running import define

    job = _job(wish, "", sink.catalog())
    Compiled(define(job, warehouse.describe(job.source)))


async def _begin(app: App, caller: Caller, wish: Wish, catalog: str) -> Run:
    job = _job(wish, "", catalog)
    run = await app.records.create_run(
        caller.tenant, KIND, stream=str(job.source), table=str(job.target), owner=app.presence.owner
    )
    deletes = await _may_lose_rows(app, caller.tenant, job.source)
    loop = asyncio.get_running_loop()

    def is_settled() -> bool:
        return asyncio.run_coroutine_threadsafe(_is_settled(app, caller.tenant, job.source), loop).result()

    await app.runs.start(run, TransformWork(_job(wish, run.id, catalog, deletes=deletes), is_settled))
    return run


async def _is_settled(app: App, tenant: str, source: TableName) -> bool:
    """Tell whether no run is writing a table."""
    under_way = [
        await app.records.runs(tenant, status=status, limit=1_000) for status in (RunStatus.QUEUED, RunStatus.RUNNING)
    ]
    return not any(run.table == str(source) for runs in under_way for run in runs)


async def _may_lose_rows(app: App, tenant: str, source: TableName) -> bool:
    """Tell whether rows may be deleted from a table one by one: by a change feed, or by whatever is not known here."""
    for dataset in await app.records.datasets(tenant):
        if dataset.table == source and dataset.connection_id is not None and dataset.stream is not None:
            known = await app.records.sync_point(tenant, dataset.connection_id, dataset.stream)
            return known is None or "feed" in known.state
    return True


@dataclass(frozen=True)
class TransformWork:
    """Carries out a transform."""

    job: TransformJob
    is_settled: Callable[[], bool]

    def carry_out(self, app: App, run: Run, progress: Progress, cancel: threading.Event) -> SyncOutcome:
        """Bring the silver table up to date with its source."""
        from servicetsunami.operations.transforms.asking import Asker
        from servicetsunami.operations.transforms.running import Transform
        from servicetsunami.operations.transforms.writing import Target

        with ExitStack() as stack:
            sink, warehouse = app.open_warehouse(run.tenant, cancel)
            stack.callback(sink.close)
            there = Elsewhere(sink, warehouse, lambda: app.ask_in_worker(run.tenant, cancel))
            stack.enter_context(closing(there))
            job, asker = self.job, Asker(sink, there, _LONGEST_SECONDS)
            target = Target(sink, job.target, APP, f"Made of {job.source} by a transform.", run.id, progress)
            aside = Target(sink, job.quarantine, SET_ASIDE, f"Set aside from {job.target}.", run.id, Progress())
            return Transform(job, asker, target, aside, self.is_settled).run()

    async def note_down(self, app: App, run: Run, outcome: SyncOutcome) -> None:
        """Tell that the table is another one."""
        if outcome.details.get("mode") != "unchanged":
            app.events.tell(Event("table", run.tenant, str(self.job.target), listed=outcome.seq == 1))


def _job(wish: Wish, run_id: str, catalog: str, *, deletes: bool = True) -> TransformJob:
    from servicetsunami.operations.transforms.running import TransformJob

    source = TableName.parse(wish.source.strip().removeprefix(f"{catalog}."))
    target = _target(wish, source, catalog)
    steps, checks = _parsed(_STEPS, wish.transformations, "transformations"), _parsed(_CHECKS, wish.checks, "checks")
    if len(steps) + len(checks) > words.MOST_STEPS:
        raise ConfigError(
            f"{len(steps) + len(checks)} steps and checks are more than {words.MOST_STEPS}",
            code="too_many_steps",
            field="transformations",
            fix="name several columns in one step, or transform in two stages",
        )
    return TransformJob(run_id, source, target, steps, checks, deletes)


def _target(wish: Wish, source: TableName, catalog: str) -> TableName:
    target = TableName("silver", source.name)
    if wish.target:
        text = wish.target.strip().removeprefix(f"{catalog}.")
        target = TableName.parse(text if "." in text else f"silver.{text}")
    if target.layer != "silver" or target == source:
        raise ConfigError(
            f"{target} cannot be what {source} becomes",
            code="bad_target",
            field="silver_table",
            fix="name a table of the silver layer other than the source",
        )
    return target


def _parsed(adapter: TypeAdapter[Any], given: Sequence[Json], name: str) -> Any:
    try:
        return adapter.validate_python(list(given))
    except ValidationError as error:
        raise _bad_step(error, given, name) from None


def _bad_step(error: ValidationError, given: Sequence[Json], name: str) -> ConfigError:
    """Say which step is wrong, without repeating what it holds."""
    where, found = first_problem(error)
    kinds = _KINDS[name]
    key = "op" if name == "transformations" else "check"
    place = next((part for part in where if isinstance(part, int)), 0)
    told = given[place].get(key) if place < len(given) and isinstance(given[place], dict) else None
    return ConfigError(
        f"{name}[{place}] cannot be understood: {found}",
        code="bad_step" if name == "transformations" else "bad_check",
        field=".".join([name, *(str(part) for part in where if part not in kinds)]),
        fix=f"{key} is one of {', '.join(kinds)}",
        did_you_mean=nearest(told, kinds) if isinstance(told, str) and told not in kinds else (),
    )


_KINDS = {
    "transformations": (
        *("rename", "drop", "trim", "case", "nullify", "fill", "cast", "parse_date", "parse_number", "deduplicate"),
        *("filter", "split", "mask", "hash", "extract_json", "flatten", "compute"),
    ),
    "checks": ("not_null", "unique", "range", "pattern", "one_of", "reference", "row_count"),
}


def _result(view: RunView, run: Run, job: TransformJob, catalog: str) -> TransformResult:
    details = run.details
    set_aside = details.get("quarantined") or None
    return TransformResult(
        status=view.status,
        run_id=view.run_id,
        silver_table=f"{catalog}.{job.target}",
        source_table=f"{catalog}.{job.source}",
        mode=details.get("mode"),
        rows_read=details.get("rows_read"),
        rows=view.rows,
        quarantined=set_aside,
        quarantine_table=f"{catalog}.{job.quarantine}" if set_aside is not None else None,
        rules=tuple(RuleCount.model_validate(one) for one in details.get("rules", ())),
        checks=tuple(CheckCount.model_validate(one) for one in details.get("checks", ())),
        notes=view.notes,
        problem=view.problem,
    )
