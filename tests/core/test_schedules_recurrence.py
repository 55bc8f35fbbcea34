"""When a schedule is next due, also where a clock is put forward or back."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from servicetsunami.operations.recurrence import check_cron, check_interval, check_timezone, following
from servicetsunami.sdk import ConfigError


def utc(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def moments(expression: str, zone: str, after: str, number: int) -> list[str]:
    """Return the moments that follow, in UTC."""
    found, last = [], utc(after)
    for _ in range(number):
        last = following("cron", expression, zone, now=last)
        found.append(last.strftime("%d %H:%M"))
    return found


def test_a_cron_expression_is_due_at_its_moments() -> None:
    assert moments("0 3 * * *", "UTC", "2026-05-01 12:00", 2) == ["02 03:00", "03 03:00"]


def test_the_moment_itself_is_not_its_own_follower() -> None:
    due = utc("2026-05-02 03:00")

    assert following("cron", "0 3 * * *", "UTC", now=due) == due + timedelta(days=1)


def test_a_time_of_day_stays_the_same_on_the_wall_in_summer_and_winter() -> None:
    assert moments("0 3 * * *", "Europe/Berlin", "2026-03-28 00:00", 3) == ["28 02:00", "29 01:00", "30 01:00"]


def test_a_time_that_the_clock_skips_is_due_once_when_the_gap_ends() -> None:
    assert moments("30 2 * * *", "Europe/Berlin", "2026-03-28 12:00", 2) == ["29 01:00", "30 00:30"]


def test_several_times_in_the_gap_are_due_once_together() -> None:
    assert moments("*/20 2 * * *", "Europe/Berlin", "2026-03-28 12:00", 2) == ["29 01:00", "30 00:00"]


def test_a_time_that_the_clock_shows_twice_is_due_the_first_time_only() -> None:
    assert moments("30 2 * * *", "Europe/Berlin", "2026-10-24 12:00", 2) == ["25 00:30", "26 01:30"]


def test_asked_in_the_second_pass_of_an_hour_the_next_day_is_told() -> None:
    assert moments("30 2 * * *", "Europe/Berlin", "2026-10-25 01:10", 1) == ["26 01:30"]


def test_an_hourly_schedule_goes_by_hours_that_pass() -> None:
    gap = moments("30 * * * *", "Europe/Berlin", "2026-03-29 00:00", 3)
    twice = moments("30 * * * *", "Europe/Berlin", "2026-10-25 00:00", 3)

    assert gap == ["29 00:30", "29 01:30", "29 02:30"]
    assert twice == ["25 00:30", "25 01:30", "25 02:30"]


def test_moments_that_were_missed_are_passed_over() -> None:
    due, now = utc("2026-05-01 03:00"), utc("2026-05-09 12:00")

    assert following("cron", "0 3 * * *", "UTC", now=now, due=due) == utc("2026-05-10 03:00")
    assert following("interval", "1d", "UTC", now=now, due=due) == utc("2026-05-10 03:00")


def test_a_clock_that_was_put_back_brings_no_moment_again() -> None:
    due, now = utc("2026-05-09 03:00"), utc("2026-05-01 12:00")

    assert following("cron", "0 3 * * *", "UTC", now=now, due=due) == utc("2026-05-10 03:00")
    assert following("interval", "1d", "UTC", now=now, due=due) == utc("2026-05-10 03:00")


def test_an_interval_counts_from_its_moments_and_not_from_when_it_was_looked_at() -> None:
    due, now = utc("2026-05-01 03:00"), utc("2026-05-01 03:07")

    assert following("interval", "15m", "UTC", now=now, due=due) == utc("2026-05-01 03:15")
    assert following("interval", "15m", "UTC", now=due, due=due) == utc("2026-05-01 03:15")


def test_the_first_moment_of_an_interval_is_one_interval_away() -> None:
    assert following("interval", "2h", "UTC", now=utc("2026-05-01 03:00")) == utc("2026-05-01 05:00")


@pytest.mark.parametrize(("text", "minutes"), [("1m", 1), ("15m", 15), ("2h", 120), ("1d", 1440), ("366d", 527040)])
def test_an_interval_is_a_number_and_a_unit(text: str, minutes: int) -> None:
    assert check_interval(text) == timedelta(minutes=minutes)


@pytest.mark.parametrize("text", ["", "15", "0m", "30s", "-5m", "1.5h", "15 m", "367d", "999999d", "m", "1w"])
def test_an_interval_that_is_none_is_refused_with_what_to_write(text: str) -> None:
    with pytest.raises(ConfigError) as refused:
        check_interval(text)

    assert (refused.value.code, refused.value.field) == ("bad_interval", "every")
    assert "15m" in (refused.value.fix or "")


@pytest.mark.parametrize(
    ("expression", "said"),
    [
        ("0 25 * * *", "field hour of the cron expression cannot be '25'"),
        ("60 * * * *", "field minute of the cron expression cannot be '60'"),
        ("0 0 0 * *", "field day-of-month"),
        ("0 0 * 13 *", "field month"),
        ("0 0 * * FUN", "field day-of-week of the cron expression cannot be 'FUN'"),
        ("0 0 30 2 *", "field day-of-month of the cron expression cannot be '30'"),
        ("0 3 * *", "has 4 fields"),
        ("0 0 3 * * *", "has 6 fields"),
        ("@daily", "has 1 fields"),
        ("", "has 0 fields"),
    ],
)
def test_a_bad_cron_expression_is_refused_by_the_name_of_its_field(expression: str, said: str) -> None:
    with pytest.raises(ConfigError) as refused:
        check_cron(expression)

    assert (refused.value.code, refused.value.field) == ("bad_cron", "cron")
    assert said in refused.value.message


def test_a_cron_expression_is_kept_with_single_spaces() -> None:
    assert check_cron("  0   3 * *  MON-FRI ") == "0 3 * * MON-FRI"


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("Berlin", "Europe/Berlin"),
        ("europe/berlin", "Europe/Berlin"),
        ("Europe/Berln", "Europe/Berlin"),
        ("new york", "America/New_York"),
    ],
)
def test_an_unknown_time_zone_is_refused_with_the_one_that_was_meant(name: str, meant: str) -> None:
    with pytest.raises(ConfigError) as refused:
        check_timezone(name)

    assert (refused.value.code, refused.value.did_you_mean[0]) == ("unknown_timezone", meant)


@pytest.mark.parametrize("name", ["/etc/passwd", "../UTC", "Europe", ""])
def test_what_is_a_path_and_no_time_zone_is_refused(name: str) -> None:
    with pytest.raises(ConfigError) as refused:
        check_timezone(name)

    assert refused.value.code == "unknown_timezone"
