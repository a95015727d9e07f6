"""A root is of one account and of one timezone: files of another one are refused before any request."""

import pytest

from ticket_events_pipeline.day import Day
from ticket_events_pipeline.errors import ForeignRootError
from ticket_events_pipeline.sandbox.rows import RecordedAccount
from ticket_events_pipeline.sandbox.server import SandboxServer
from ticket_events_pipeline.sla.build import make_clocks
from ticket_events_pipeline.storage.folder_store import FolderStore
from ticket_events_pipeline_tests.support.fetches import Moment, fetch

DAY, NEXT_DAY = "2026-03-02", "2026-03-03"
OTHER = {"ticket_events": "ticket_metric_events", "ticket_metric_events": "ticket_events"}

clock = Moment(Day.parse("2026-03-20").start)


@pytest.fixture
def server():
    with SandboxServer(RecordedAccount(), clock=clock) as running:
        yield running


@pytest.mark.parametrize("stream", list(OTHER))
def test_a_root_whose_other_stream_is_of_another_account_is_refused(tmp_path, server, stream):
    """Or of another timezone; the SLA tables would mix the two."""
    fetch(server, tmp_path, stream, DAY, DAY, clock=clock, account="acme")
    requests_before = len(server.requests)
    with pytest.raises(ForeignRootError, match="ZENDESK_SUBDOMAIN: its files have acme, this fetch has other"):
        fetch(server, tmp_path, OTHER[stream], NEXT_DAY, NEXT_DAY, clock=clock, account="other")
    with pytest.raises(ForeignRootError, match="TICKET_EVENTS_TIMEZONE: its files have UTC, this fetch has Asia/Kolkata"):
        fetch(server, tmp_path, OTHER[stream], NEXT_DAY, NEXT_DAY, clock=clock, account="acme", timezone="Asia/Kolkata")
    assert len(server.requests) == requests_before


def test_comments_in_one_stream_do_not_refuse_the_other(tmp_path, server):
    """No fetch raises."""
    fetch(server, tmp_path, "ticket_events", DAY, DAY, clock=clock, sideload=True)
    fetch(server, tmp_path, "ticket_metric_events", DAY, DAY, clock=clock)
    fetch(server, tmp_path, "ticket_events", DAY, NEXT_DAY, clock=clock, sideload=True)


def test_days_of_another_timezone_are_not_summarised(tmp_path, server):
    """Their events would be counted on the wrong days, without any sign of it."""
    fetch(server, tmp_path, "ticket_metric_events", DAY, DAY, clock=clock)
    with pytest.raises(ForeignRootError, match="as a day of UTC, but TICKET_EVENTS_TIMEZONE is Asia/Kolkata"):
        list(make_clocks(FolderStore(tmp_path), [Day.parse(DAY, "Asia/Kolkata")]))
