"""An open day that is resumed: which of its stored rows are replaced, and which stay."""

from ticket_events_pipeline.day import Day
from ticket_events_pipeline.sandbox.answers import json_answer
from ticket_events_pipeline.sandbox.rows import RecordedAccount
from ticket_events_pipeline.sandbox.server import SandboxServer
from ticket_events_pipeline_tests.support.events import event
from ticket_events_pipeline_tests.support.fetches import Moment, fetch, stored_ids

DAY, NEXT_DAY = "2026-03-02", "2026-03-03"


def test_an_event_dated_ahead_that_moved_leaves_its_open_day(tmp_path):
    """The day resumes before the event's time: the rows read again replace the stored ones of that time."""
    day = Day.parse(DAY)
    moment = Moment(day.start + 12 * 3600)
    planned = event(1, f"{DAY}T20:00:00Z", "breach")
    account = RecordedAccount({"ticket_metric_events": [planned, event(2, f"{DAY}T08:00:00Z")]})
    with SandboxServer(account, clock=moment) as server:
        fetch(server, tmp_path, "ticket_metric_events", DAY, DAY, clock=moment)
        assert stored_ids(tmp_path, "ticket_metric_events", day) == [2, 1]
        account.deliver("ticket_metric_events", [{**planned, "time": f"{NEXT_DAY}T09:00:00Z"}])
        moment.now = day.end + 86_400 + 3600
        fetch(server, tmp_path, "ticket_metric_events", DAY, NEXT_DAY, clock=moment)
    assert stored_ids(tmp_path, "ticket_metric_events", day) == [2]
    assert stored_ids(tmp_path, "ticket_metric_events", day.plus(1)) == [1]


def test_rows_that_a_resumed_day_did_not_read_again_stay(tmp_path):
    """With the answer "too recent", nothing was read again, and every stored row stays."""
    day = Day.parse(DAY)
    moment = Moment(day.start + 12 * 3600)
    account = RecordedAccount({"ticket_metric_events": [event(1, f"{DAY}T08:00:00Z"), event(2, f"{DAY}T20:00:00Z", "breach")]})
    with SandboxServer(account, clock=moment) as server:
        fetch(server, tmp_path, "ticket_metric_events", DAY, DAY, clock=moment)
        too_recent = {"error": "InvalidValue", "description": "Too recent start_time. Use a start_time older than 15 minutes"}
        server.script(json_answer(422, too_recent))
        (done,) = fetch(server, tmp_path, "ticket_metric_events", DAY, DAY, clock=moment)
    assert not done.footer.complete
    assert stored_ids(tmp_path, "ticket_metric_events", day) == [1, 2]
