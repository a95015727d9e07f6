"""The morning report as a browser shows it: the simulated account's thirty days, hostile texts, the dark, a phone and paper."""

import re
from dataclasses import replace
from pathlib import Path

import duckdb
import pytest

from ticket_events_pipeline.report.page import LINES, PAPER_LINES
from ticket_events_pipeline.report.write import write_report
from ticket_events_pipeline.storage.folder_store import FolderStore
from ticket_events_pipeline_tests.support.browser import faults, is_wider_than_its_window, opened_browser
from ticket_events_pipeline_tests.support.commands import new_place
from ticket_events_pipeline_tests.support.hand_made_reports import (
    DAY,
    LATE_TICKET,
    day_report,
    late_tickets,
    with_late,
    with_texts,
)
from ticket_events_pipeline_tests.support.hostile_texts import HOSTILE

pytestmark = pytest.mark.slow

MARKER = "window.pwned"


@pytest.fixture(scope="module")
def demo(tmp_path_factory):
    """The folder of the reports, and the path of yesterday's."""
    place = new_place(tmp_path_factory.mktemp("demo"))
    assert place.ticket_events("demo").code == 0
    ended = place.ticket_events("report", ZENDESK_SANDBOX="1")
    assert ended.code == 0, ended.output
    return Path(ended.output.splitlines()[0])


def watched(page):
    """What the page asks for, and what it complains of, from now on."""
    seen = []
    page.on("request", lambda request: seen.append(request.url))
    page.on("console", lambda message: seen.append(message.text))
    page.on("pageerror", lambda error: seen.append(str(error)))
    page.on("dialog", lambda dialog: seen.append(dialog.message))
    return seen


def unfolded(page):
    page.evaluate("document.querySelectorAll('details').forEach(details => { details.open = true })")


@pytest.mark.parametrize(("width", "scheme"), [(1400, "light"), (400, "light"), (1400, "dark"), (400, "dark")])
def test_thirty_days_of_the_simulated_account_are_accessible(demo, width, scheme):
    """axe-core finds no serious fault with every part unfolded; no part is wider than the window; no request is sent."""
    with opened_browser(width=width, scheme=scheme) as page:
        seen = watched(page)
        for path in (demo, demo.parents[1] / "explained.html"):
            page.goto(path.as_uri())
            assert page.locator("h1").is_visible()
            assert not is_wider_than_its_window(page)
            unfolded(page)
            assert faults(page) == []
            assert not is_wider_than_its_window(page)
        is_dark = page.evaluate("getComputedStyle(document.body).backgroundColor") != "rgb(255, 255, 255)"
        assert is_dark is (scheme == "dark")
        assert [url.rpartition("/")[2] for url in seen] == ["sla_breach_report.html", "explained.html"]


def test_the_page_shows_the_breaches_that_a_query_counts(demo):
    summary = demo.parents[2] / "daily_sla_breach_summary" / demo.parent.name / "daily_sla_breach_summary.parquet"
    counted = dict(duckdb.sql(f"SELECT sla_metric, sum(breaches) FROM '{summary}' GROUP BY 1").fetchall())  # noqa: S608
    with opened_browser() as page:
        page.goto(demo.as_uri())
        tiles = page.locator("article.tile").all()
        shown = {tile.get_attribute("data-metric"): int(tile.locator("[data-figure=breaches]").inner_text()) for tile in tiles}
        assert {metric: breaches for metric, breaches in shown.items() if metric in counted} == counted
        assert int(page.locator("#headline [data-figure=breaches]").inner_text()) == sum(counted.values()) > 0
        assert page.locator("#late-new-table tbody tr").count() > 0


def test_from_one_day_to_the_next_and_to_the_explanation(tmp_path):
    store = FolderStore(tmp_path)
    for number in (0, 1):
        write_report(store, replace(day_report(), day=DAY.plus(number)))
    with opened_browser(width=400) as page:
        page.goto((tmp_path / "sla_breach_report/latest.html").as_uri())
        page.get_by_role("link", name="Mon 23 Nov").click()
        assert page.get_by_role("heading", level=1).inner_text() == "Monday, 23 November 2026"
        page.get_by_role("link", name="Newest day").click()
        assert page.get_by_role("heading", level=1).inner_text() == "Tuesday, 24 November 2026"
        page.get_by_role("link", name="What the numbers mean").click()
        assert page.url.endswith("/sla_breach_report/explained.html")
        assert page.get_by_role("heading", level=1).is_visible()


@pytest.fixture
def hostile(tmp_path):
    """A page on which every text of the account is one of the hostile ones, or all of them."""
    late = tuple(with_texts(text).work_list.new.tickets[0] for text in HOSTILE)
    tame = with_texts(" ".join(HOSTILE))
    report = replace(tame, work_list=replace(tame.work_list, new=late_tickets(*late)))
    write_report(FolderStore(tmp_path), report)
    return tmp_path / "sla_breach_report/latest.html"


def test_no_text_of_the_account_runs_reaches_out_or_breaks_the_page(hostile):
    """Even with the page's own policy off, on a phone."""
    with opened_browser(width=400, runs_any_script=True) as page:
        seen = watched(page)
        page.goto(hostile.as_uri())
        unfolded(page)
        page.mouse.move(200, 300)
        assert page.evaluate(f"typeof {MARKER}") == "undefined"
        shown = page.locator("#late-new-table .subject").all_text_contents()
        assert shown[0] == "<script>window.pwned = 1</script>"
        assert len(shown) == len(HOSTILE)
        assert "a\ufffdb\ufffd[31mc\ufffd\ufffdd\ufffdz" in shown
        assert "{{ 7 * 7 }}" in " ".join(shown)
        assert not is_wider_than_its_window(page)
        assert page.locator("h1").all_inner_texts() == ["Monday, 23 November 2026"]
        assert seen == [hostile.as_uri()]
        assert faults(page) == []


def test_the_pages_own_policy_keeps_a_script_from_running(hostile):
    """The same script runs without the policy: the test would notice."""
    slipped = "<main><script>window.pwned = 1</script><img src='https://127.0.0.1:9/' onerror='window.pwned = 2'>"
    hostile.write_text(hostile.read_text(encoding="utf-8").replace("<main>", slipped), encoding="utf-8")
    ran = {}
    for is_off in (False, True):
        with opened_browser(runs_any_script=is_off) as page:
            page.goto(hostile.as_uri())
            ran[is_off] = page.evaluate(f"typeof {MARKER}")
    assert ran == {False: "undefined", True: "number"}


def pages_of(pdf: bytes) -> int:
    return len(re.findall(rb"/Type\s*/Page\b", pdf))


def test_a_day_prints_on_two_white_pages_with_the_folds_closed(demo):
    with opened_browser(scheme="dark") as page:
        page.goto(demo.as_uri())
        page.emulate_media(media="print")
        assert page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
        assert pages_of(page.pdf(prefer_css_page_size=True)) <= 2
        assert page.locator("#headline").is_visible()
        assert page.locator("footer .on-paper").is_visible()
        for hidden in ("nav", "#policies", "#data-quality", "details", ".late .not-on-paper"):
            assert [part.is_visible() for part in page.locator(hidden).all()].count(True) == 0, hidden


def test_a_long_work_list_prints_its_first_lines_and_how_many_are_left(tmp_path):
    late = tuple(replace(LATE_TICKET, ticket_id=number) for number in range(1, LINES + 6))
    write_report(FolderStore(tmp_path), with_late(new=late, older=late))
    with opened_browser() as page:
        page.goto((tmp_path / "sla_breach_report/latest.html").as_uri())
        assert page.locator(".on-paper").first.is_hidden()
        page.emulate_media(media="print")
        shown = [body.is_visible() for body in page.locator(".late tbody").all()]
        assert shown.count(True) == PAPER_LINES
        assert page.locator(".late .on-paper:visible").all_inner_texts() == [
            f"{len(late) - PAPER_LINES} more on the page itself.",
            f"Breached before Mon 23 Nov: {len(late)} tickets, on the page itself.",
        ]


def test_a_wide_table_shows_where_it_goes_on(tmp_path):
    """A shadow at its edge, which goes when it is scrolled to the end."""
    write_report(FolderStore(tmp_path), day_report())
    with opened_browser(width=400) as page:
        page.goto((tmp_path / "sla_breach_report/latest.html").as_uri())
        table = page.locator(".scroll:has(#policies-table)")
        assert table.evaluate("box => box.scrollWidth > box.clientWidth")
        at_start = table.screenshot()
        table.evaluate("box => { box.scrollLeft = box.scrollWidth }")
        assert table.screenshot() != at_start
        assert "gradient" in table.evaluate("box => getComputedStyle(box).backgroundImage")
