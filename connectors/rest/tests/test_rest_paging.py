"""Every way an API has of saying where the next page is."""

from typing import TYPE_CHECKING, Any

import pytest

from servicetsunami.sdk import Checkpoint, ConfigError, DataError, NotFound, Read, Stream

if TYPE_CHECKING:
    from conftest import Api, Asked, Reader

RECORDS = [{"id": i} for i in range(1, 8)]
IDS = list(range(1, 8))


def ids(rows: list[dict[str, Any]]) -> list[int]:
    return [row["id"] for row in rows]


def stream(**paging: Any) -> dict[str, Any]:
    return {"name": "t", "path": "/t", "key": ["id"], "paging": paging}


def test_a_list_without_paging_is_one_request(api: "Api", reader: "Reader") -> None:
    api.routes["/t"] = RECORDS

    assert ids(reader.rows({"name": "t", "path": "/t"})) == IDS
    assert len(api.asked) == 1


@pytest.mark.parametrize("at_once", [1, 2, 5, 16])
def test_numbered_pages_come_in_order_however_many_are_asked_for_at_once(
    api: "Api", reader: "Reader", at_once: int
) -> None:
    api.routes["/t"] = api.paged(RECORDS)

    assert ids(reader.rows(stream(kind="page"), parallel_requests=at_once)) == IDS
    assert len(api.asked) <= 4 + 1 + at_once


@pytest.mark.parametrize("at_once", [1, 3])
@pytest.mark.parametrize("size", [1, 2, 7, 100])
def test_offsets_cover_every_record_once(api: "Api", reader: "Reader", at_once: int, size: int) -> None:
    api.routes["/t"] = api.paged(RECORDS)

    found = reader.rows(stream(kind="offset", size_param="limit", size=size), parallel_requests=at_once)

    assert ids(found) == IDS


@pytest.mark.parametrize("at_once", [1, 4])
def test_a_server_that_gives_shorter_pages_than_asked_for_loses_no_record(
    api: "Api", reader: "Reader", at_once: int
) -> None:
    def capped(asked: "Asked") -> Any:
        begin = int(asked.query["offset"])
        return RECORDS[begin : begin + 2]

    api.routes["/t"] = capped

    found = reader.rows(stream(kind="offset", size_param="limit", size=5), parallel_requests=at_once)

    assert ids(found) == IDS


def test_offsets_without_a_size_go_by_the_records_that_came(api: "Api", reader: "Reader") -> None:
    api.routes["/t"] = api.paged(RECORDS, size=3)

    assert ids(reader.rows(stream(kind="offset", param="offset"), parallel_requests=4)) == IDS


def test_pages_may_be_counted_from_zero(api: "Api", reader: "Reader") -> None:
    api.routes["/t"] = lambda asked: RECORDS[int(asked.query["p"]) * 3 :][:3]

    assert ids(reader.rows(stream(kind="page", param="p", first=0))) == IDS


def test_a_link_header_is_followed(api: "Api", reader: "Reader") -> None:
    api.routes["/t"] = api.reply(RECORDS[:4], headers={"link": '</t/2>; rel="next", </t>; rel="first"'})
    api.routes["/t/2"] = RECORDS[4:]

    assert ids(reader.rows(stream(kind="link"))) == IDS


@pytest.mark.parametrize("end", [None, "", False])
def test_a_url_in_the_body_is_followed(api: "Api", reader: "Reader", end: Any) -> None:
    api.routes["/t"] = {"data": RECORDS[:4], "paging": {"next": f"{api.base_url}/more?x=1"}}
    api.routes["/more"] = {"data": RECORDS[4:], "paging": {"next": end}}

    found = reader.rows({**stream(kind="next_url", next="paging.next"), "records": "data"})

    assert ids(found) == IDS
    assert api.queries("/more") == [{"x": "1"}]


def test_a_cursor_in_the_body_is_sent_back(api: "Api", reader: "Reader") -> None:
    pages = {"": (RECORDS[:3], "a=&b"), "a=&b": ([], "c"), "c": (RECORDS[3:], None)}

    def route(asked: "Asked") -> Any:
        records, following = pages[asked.query.get("after", "")]
        return {"items": records, "next": following}

    api.routes["/t"] = route

    found = reader.rows({**stream(kind="cursor", param="after", size_param="n", size=3), "records": "items"})

    assert ids(found) == IDS
    assert all(query["n"] == "3" for query in api.queries("/t"))


def test_the_last_record_may_be_the_cursor(api: "Api", reader: "Reader") -> None:
    api.routes["/t"] = lambda asked: [one for one in RECORDS if one["id"] > int(asked.query.get("after", 0))][:3]

    assert ids(reader.rows(stream(kind="cursor", param="after", last_field="id"))) == IDS


def test_an_empty_list_is_no_rows_and_no_error(api: "Api", reader: "Reader") -> None:
    api.routes["/t"] = []

    for kind in ("none", "page", "offset", "link"):
        assert reader.rows(stream(kind=kind)) == []


@pytest.mark.parametrize("at_once", [1, 4])
@pytest.mark.parametrize("kind", ["page", "offset"])
def test_a_server_that_ignores_the_page_parameter_is_found_out(
    api: "Api", reader: "Reader", kind: str, at_once: int
) -> None:
    api.routes["/t"] = RECORDS

    with pytest.raises(DataError) as caught:
        reader.rows(stream(kind=kind, size_param="limit", size=7), parallel_requests=at_once)

    assert caught.value.code == "page_loop"


@pytest.mark.parametrize(
    ("kind", "following"), [("next_url", "/t"), ("cursor", "same"), ("next_url", "/t?page=2"), ("cursor", 7)]
)
def test_pages_that_lead_in_circles_are_found_out(api: "Api", reader: "Reader", kind: str, following: Any) -> None:
    api.routes["/t"] = {"items": RECORDS, "next": following}

    with pytest.raises(DataError) as caught:
        reader.rows({**stream(kind=kind), "records": "items"})

    assert caught.value.code == "page_loop"


@pytest.mark.parametrize("following", [True, ["x"], {"href": "/t"}, 1.5])
def test_a_next_that_is_no_url_is_not_taken_for_the_end(api: "Api", reader: "Reader", following: Any) -> None:
    api.routes["/t"] = {"items": RECORDS, "next": following}

    with pytest.raises(DataError) as caught:
        reader.rows({**stream(kind="next_url"), "records": "items"})

    assert caught.value.code == "bad_paging"


@pytest.mark.parametrize("at_once", [1, 3])
def test_a_404_behind_the_last_page_is_an_end_only_where_the_settings_say_so(
    api: "Api", reader: "Reader", at_once: int
) -> None:
    def route(asked: "Asked") -> Any:
        return api.paged(RECORDS)(asked) or api.reply({}, status=404)

    api.routes["/t"] = route

    with pytest.raises(NotFound):
        reader.rows(stream(kind="page"), parallel_requests=at_once)
    found = reader.rows(stream(kind="page", past_end_is_404=True), parallel_requests=at_once)

    assert ids(found) == IDS


@pytest.mark.parametrize("at_once", [1, 3])
def test_a_404_of_the_first_page_is_an_error_whatever_the_settings_say(reader: "Reader", at_once: int) -> None:
    with pytest.raises(NotFound) as caught:
        reader.rows(stream(kind="page", past_end_is_404=True), parallel_requests=at_once)

    assert "stream 't'" in str(caught.value)
    assert "'/t'" in str(caught.value.fix)


def test_a_preview_asks_for_no_page_more_than_it_shows(api: "Api", reader: "Reader") -> None:
    api.routes["/t"] = api.paged(RECORDS)

    found = reader.rows(stream(kind="page"), parallel_requests=8, read=Read(Stream("t"), limit=3))

    assert ids(found) == [1, 2, 3]
    assert len(api.asked) == 2


@pytest.mark.parametrize("kind", ["page", "offset", "link", "cursor"])
def test_a_read_goes_on_at_its_checkpoint(api: "Api", reader: "Reader", kind: str) -> None:
    def route(asked: "Asked") -> Any:
        begin = int(asked.query.get("cursor", 0)) if kind in ("link", "cursor") else None
        records = api.paged(RECORDS)(asked) if begin is None else RECORDS[begin : begin + 2]
        more = None if begin is None or begin + 2 > 7 else begin + 2
        link = {"link": f'</t?cursor={more}>; rel="next"'} if more and kind == "link" else {}
        return api.reply({"items": records, "next": more}, headers=link)

    api.routes["/t"] = route
    settings = {**stream(kind=kind), "records": "items"}
    items = reader.items(settings)
    at = next(i for i, item in enumerate(items) if isinstance(item, Checkpoint))
    api.asked.clear()

    rest = reader.rows(settings, read=Read(Stream("t", key=("id",)), state=items[at].state))

    assert ids(rest) == IDS[2:]
    assert len(api.asked) < len(RECORDS)


def test_a_place_that_the_server_has_forgotten_begins_anew(api: "Api", reader: "Reader") -> None:
    api.routes["/t"] = api.reply(RECORDS[:4], headers={"link": '</t/2>; rel="next"'})
    api.routes["/t/2"] = RECORDS[4:]
    state = {"then": {"url": f"{api.base_url}/t/gone"}, "since": "None"}

    rows = reader.rows(stream(kind="link"), read=Read(Stream("t", key=("id",)), state=state))

    assert ids(rows) == IDS


def test_a_stream_without_a_key_gives_no_checkpoint(api: "Api", reader: "Reader") -> None:
    api.routes["/t"] = api.paged(RECORDS)

    items = reader.items({"name": "t", "path": "/t", "paging": {"kind": "page"}})

    assert not [item for item in items if isinstance(item, Checkpoint)]


def test_a_next_url_that_holds_a_secret_is_no_checkpoint(api: "Api", reader: "Reader") -> None:
    api.routes["/t"] = {"items": RECORDS, "next": "/more?key=hidden%20key"}
    api.routes["/more"] = {"items": []}

    items = reader.items({**stream(kind="next_url"), "records": "items"}, auth="query", token="hidden key")

    assert not [item for item in items if isinstance(item, Checkpoint)]


def test_a_page_in_the_middle_that_has_no_records_list_is_an_error(api: "Api", reader: "Reader") -> None:
    api.routes["/t"] = lambda asked: {"items": RECORDS} if asked.query["page"] == "1" else {"error": "busy"}

    with pytest.raises(ConfigError) as caught:
        reader.rows({**stream(kind="page"), "records": "items"})

    assert caught.value.code == "records_not_found"
