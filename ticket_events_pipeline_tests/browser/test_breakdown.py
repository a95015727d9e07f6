"""Whose breaches they were, as a browser shows it: tabs and a filter by group without script, on a phone and on paper."""

from dataclasses import replace

import pytest

from ticket_events_pipeline.report.holders import Holder
from ticket_events_pipeline.report.write import write_report
from ticket_events_pipeline.storage.folder_store import FolderStore
from ticket_events_pipeline_tests.support.browser import faults, is_wider_than_its_window, opened_browser
from ticket_events_pipeline_tests.support.hand_made_reports import (
    ANNA,
    BEN,
    BILLING,
    LATE,
    LATE_TICKET,
    SECOND_LEVEL,
    group_part,
    late_tickets,
    with_breakdown,
)

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def url(tmp_path_factory):
    """A page with two groups, one of which has tickets."""
    root = tmp_path_factory.mktemp("root")
    target = replace(LATE, breached_with=Holder(BILLING, ANNA))
    ticket = replace(LATE_TICKET, targets=(target,), now_with=Holder(SECOND_LEVEL, BEN))
    groups = (group_part(BILLING, elsewhere=(ticket,)), group_part(SECOND_LEVEL, late=(ticket,)))
    report = with_breakdown(groups=groups)
    write_report(FolderStore(root), replace(report, work_list=replace(report.work_list, new=late_tickets(ticket))))
    return (root / "sla_breach_report/latest.html").as_uri()


def shown(page, selector):
    return [part.get_attribute("id") for part in page.locator(selector).all() if part.is_visible()]


@pytest.mark.parametrize(("width", "scheme"), [(1400, "light"), (400, "light"), (1400, "dark"), (400, "dark")])
def test_every_tab_and_a_groups_section_are_accessible(url, width, scheme):
    """axe-core finds no serious fault, with every fold open; no part is wider than the window."""
    with opened_browser(width=width, scheme=scheme) as page:
        page.goto(f"{url}#group-360002")
        page.evaluate("document.querySelectorAll('details').forEach(details => { details.open = true })")
        for place in range(1, 5):
            page.locator(f"#split-{place}").check()
            assert shown(page, ".panel") == [f"by-{place}"]
            assert faults(page) == []
            assert not is_wider_than_its_window(page)


def test_the_tabs_work_by_keys_alone(url):
    with opened_browser() as page:
        page.goto(url)
        assert shown(page, ".panel") == ["by-1"]
        page.locator("#split-1").focus()
        page.keyboard.press("ArrowRight")
        assert shown(page, ".panel") == ["by-2"]
        assert page.evaluate("document.activeElement.id") == "split-2"


def test_a_link_filters_by_group_and_another_goes_back(url):
    with opened_browser() as page:
        page.goto(url)
        assert shown(page, ".group") == []
        page.locator("#by-1").get_by_role("link", name="Second level").click()
        assert shown(page, ".group") == ["group-360002"]
        assert page.locator("#group-360002").get_by_text("My printer is on fire").is_visible()
        page.locator(".groups").get_by_role("link", name="Billing").click()
        assert shown(page, ".group") == ["group-360001"]
        page.get_by_role("link", name="All groups").click()
        assert shown(page, ".group") == []


def test_paper_shows_the_tables_of_all_dimensions_and_no_tabs(url):
    with opened_browser(scheme="dark") as page:
        page.goto(url)
        page.emulate_media(media="print")
        assert shown(page, ".panel") == ["by-1", "by-2", "by-3", "by-4"]
        for hidden in (".tabs", ".groups", "details", ".group"):
            assert [part.is_visible() for part in page.locator(hidden).all()].count(True) == 0, hidden


def test_a_browser_that_does_not_know_the_tabs_selector_shows_all_tables(url):
    """Without `:has`, the rule that hides a table is no rule."""
    with opened_browser() as page:
        page.goto(url)
        rules = page.evaluate(
            "[...document.styleSheets[0].cssRules].map(rule => rule.cssText).filter(text => text.includes('#by-'))"
        )
        assert rules
        assert all(":has(" in line for rule in rules for line in rule.splitlines() if "#by-" in line)
