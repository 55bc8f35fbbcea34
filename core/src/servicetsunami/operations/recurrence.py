"""When a schedule is next due: five cron fields on the clock of a time zone, or an interval.

A cron expression that names hours goes by the clock on the wall: a moment that this clock skips is due once, as soon as
the gap ends, and one that it shows twice is due the first time. An expression for every hour (`*`) goes by the hours
that pass.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta, tzinfo
from typing import Literal
from zoneinfo import ZoneInfo, available_timezones

from cronsim import CronSim, CronSimError

from servicetsunami.sdk import ConfigError, nearest

_FIELDS = ("minute", "hour", "day-of-month", "month", "day-of-week")
_LONGEST = 200
_INTERVAL = re.compile(r"(?P<number>[1-9][0-9]{0,5})(?P<unit>[mhd])")
_UNITS = {"m": timedelta(minutes=1), "h": timedelta(hours=1), "d": timedelta(days=1)}
_LONGEST_INTERVAL = timedelta(days=366)


def check_cron(expression: str) -> str:
    """Return the expression with single spaces; raises `ConfigError` that names the field which is wrong."""
    fields = expression.split()
    if len(fields) != len(_FIELDS) or len(expression) > _LONGEST:
        raise _bad_cron(f"the cron expression has {len(fields)} fields, not the five that it must have")
    cleaned = " ".join(fields)
    try:
        next(CronSim(cleaned, datetime(2026, 1, 1, tzinfo=UTC)))
    except (CronSimError, StopIteration) as error:
        raise _bad_cron(_what_is_wrong(fields, str(error))) from None
    return cleaned


def check_interval(text: str) -> timedelta:
    """Return an interval such as `15m`, `2h` or `1d`; raises `ConfigError` for one below a minute or above a year."""
    found = _INTERVAL.fullmatch(text)
    length = int(found["number"]) * _UNITS[found["unit"]] if found else timedelta()
    if not timedelta() < length <= _LONGEST_INTERVAL:
        raise ConfigError(
            f"'{text[:_LONGEST]}' is not an interval between a minute and a year",
            code="bad_interval",
            field="every",
            fix="write a number and m, h or d, such as 15m, 2h or 1d",
        )
    return length


def check_timezone(name: str) -> tzinfo:
    """Return the time zone of an IANA name; raises `ConfigError` with near names."""
    if name == "UTC":
        return UTC
    known = available_timezones()
    if name not in known:
        cities = {zone.rpartition("/")[2].casefold(): zone for zone in sorted(known)}
        same = cities.get(name.rpartition("/")[2].replace(" ", "_").casefold())
        raise ConfigError(
            f"there is no time zone '{name[:_LONGEST]}'",
            code="unknown_timezone",
            field="timezone",
            fix="use a name such as Europe/Berlin, America/New_York or UTC",
            did_you_mean=(same,) if same else nearest(name, known),
        )
    return ZoneInfo(name)


def following(
    kind: Literal["cron", "interval"], expression: str, timezone: str, *, now: datetime, due: datetime | None = None
) -> datetime:
    """Return the first moment of a schedule after `now`, and after `due`, the moment it stood at.

    However many moments lie between the two, they are passed over.
    """
    if kind == "interval":
        length = check_interval(expression)
        start = now.replace(microsecond=0) if due is None else due
        return start + length * (max(now - start, timedelta()) // length + 1)
    return _next_cron(check_cron(expression), check_timezone(timezone), now if due is None else max(now, due))


def _next_cron(expression: str, zone: tzinfo, after: datetime) -> datetime:
    # Of moments in order the first may still be in the past: the second pass of an hour that the clock shows twice.
    return next(moment for moment in _moments(expression, zone, after) if moment > after)


def _moments(expression: str, zone: tzinfo, after: datetime) -> Iterator[datetime]:
    local = after.astimezone(zone)
    if expression.split()[1] == "*":
        return (moment.astimezone(UTC) for moment in CronSim(expression, local))
    return (_on_the_wall(moment, zone) for moment in CronSim(expression, local.replace(tzinfo=None)))


def _on_the_wall(moment: datetime, zone: tzinfo) -> datetime:
    """Return when a wall clock shows `moment` for the first time; the end of the gap if it skips that."""
    shown = moment.replace(tzinfo=zone, fold=0)
    while shown.astimezone(UTC).astimezone(zone).replace(tzinfo=None) != shown.replace(tzinfo=None):
        shown += timedelta(minutes=1)
    return shown.astimezone(UTC)


def _what_is_wrong(fields: list[str], said: str) -> str:
    name = said.removeprefix("Bad ")
    if name not in _FIELDS:
        return f"the cron expression '{' '.join(fields)}' names no moment that ever comes"
    return f"the field {name} of the cron expression cannot be '{fields[_FIELDS.index(name)]}'"


def _bad_cron(message: str) -> ConfigError:
    return ConfigError(
        message,
        code="bad_cron",
        field="cron",
        fix="give minute, hour, day-of-month, month and day-of-week, such as '0 3 * * *' for three o'clock every night",
    )
