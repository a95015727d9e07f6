"""The weekly page as a browser shows it: accessible in the light and the dark, on a phone, and on two pages of paper."""

from pathlib import Path

import pytest

from ticket_events_pipeline.day import Day
from ticket_events_pipeline.report.week import Week, read_week
from ticket_events_pipeline.report.week_page import week_path, write_week
from ticket_events_pipeline.sandbox.account import SimulatedAccount
from ticket_events_pipeline.sandbox.server import SandboxServer
from ticket_events_pipeline.settings import RootSettings
from ticket_events_pipeline.storage.folder_store import FolderStore
from ticket_events_pipeline_tests.support.browser import faults, is_wider_than_its_window, opened_browser
from ticket_events_pipeline_tests.support.fetches import Moment, fetch
from ticket_events_pipeline_tests.support.sla_roots import make_sla_days

pytestmark = pytest.mark.slow

FIRST, LAST = Day.parse("2026-02-23"), Day.parse("2026-03-08")  # two weeks


@pytest.fixture(scope="module")
def week(tmp_path_factory) -> Path:
    """The second of two weeks of the simulated account, and the first beside it."""
    root, clock = tmp_path_factory.mktemp("root"), Moment(LAST.end + 3600)
    with SandboxServer(SimulatedAccount(), clock=clock) as server:
        for stream in ("ticket_events", "ticket_metric_events"):
            fetch(server, root, stream, str(FIRST), str(LAST), clock=clock)
    make_sla_days(root, FIRST, LAST)
    settings = RootSettings(str(root), "UTC", "acme", "https://acme.zendesk.com/agent/tickets/")
    for found in (Week.of(FIRST), Week.of(LAST)):
        write_week(FolderStore(root), read_week(FolderStore(root), settings, found))
    return root / week_path(Week.of(LAST))


@pytest.mark.parametrize(("width", "scheme"), [(1400, "light"), (400, "light"), (1400, "dark"), (400, "dark")])
def test_the_week_is_accessible_and_fits_its_window(week, width, scheme):
    with opened_browser(width=width, scheme=scheme) as page:
        seen = []
        page.on("request", lambda request: seen.append(request.url))
        page.goto(week.as_uri())
        assert page.get_by_role("heading", level=1).inner_text() == "Week 10: 2 to 8 March 2026"
        page.evaluate("document.querySelectorAll('details').forEach(details => { details.open = true })")
        assert faults(page) == []
        assert not is_wider_than_its_window(page)
        assert seen == [week.as_uri()]


def test_links_lead_to_the_week_before_and_to_the_explanation(week):
    with opened_browser() as page:
        page.goto(week.as_uri())
        page.get_by_role("link", name="Week 9").click()
        assert page.get_by_role("heading", level=1).inner_text() == "Week 9: 23 February to 1 March 2026"
        page.get_by_role("link", name="What the numbers mean").click()
        assert page.url.endswith("/sla_breach_report/explained.html")


def test_a_week_is_printed_on_two_pages(week):
    with opened_browser(scheme="dark") as page:
        page.goto(week.as_uri())
        printed = page.pdf(format="A4", prefer_css_page_size=True)
        page.emulate_media(media="print")
        assert page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
    assert pages_of(printed) in (1, 2)


def pages_of(pdf: bytes) -> int:
    """Chromium writes each page as an object of its own."""
    return pdf.count(b"/Type /Page\n")
