"""The next start_time that a page states around its rows, and when it is trusted."""

import json
from email.utils import formatdate

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ticket_events_pipeline.zendesk.page import PageRequest
from ticket_events_pipeline.zendesk.prefetch import Answer, Prefetch, stated_start
from ticket_events_pipeline.zendesk.walk import Continue, End
from ticket_events_pipeline_tests.support.client_bench import NOW, T
from ticket_events_pipeline_tests.support.streams import TICKET_EVENTS, TICKET_METRIC_EVENTS

DATE = {"Date": formatdate(NOW, usegmt=True)}
ROWS = '"ticket_events":[{"id":1,"note":"],\\"end_time\\":5}"}]'
AFTER = (
    ',"next_page":"https://acme.zendesk.com/x?start_time=1\\u0026per_page=1000","count":1000,"end_of_stream":false,"end_time":'
)
REQUEST = PageRequest(TICKET_EVENTS, T)


def stated(body, *, request=REQUEST, status=200, headers=DATE):
    return stated_start(request, Answer(status, headers, body.encode(), NOW))


@pytest.mark.parametrize(
    "body",
    [
        f"{{{ROWS}{AFTER}{T + 9}}}",
        f' {{ "count" : 1000 ,\n"end_time": {T + 9}, "end_of_stream": false, {ROWS} }}\n',
        f'{{"count":2,"end_of_stream":false,{ROWS},"end_time":{T + 9}}}',
        f'{{{ROWS},"count":1000,"end_time":{T + 9}}}',
    ],
    ids=["after the rows", "before them", "around them", "a full page that doesn't say whether more follows"],
)
def test_the_start_is_read_wherever_the_members_stand(body):
    assert stated(body) == T + 9


@pytest.mark.parametrize(
    "body",
    [
        f'{{{ROWS},"count":999,"end_time":{T + 9}}}',
        f'{{{ROWS},"count":1000,"end_time":{T + 9},"end_of_stream":true}}',
        f'{{{ROWS},"count":1000,"end_time":{T + 9},"end_of_stream":null}}',
        f'{{{ROWS},"count":1000,"end_time":{T}}}',
        f'{{{ROWS},"count":1000,"end_time":{NOW:.0f}}}',
        f'{{{ROWS},"count":1000,"end_time":"{T + 9}"}}',
        f'{{{ROWS},"count":1000,"end_time":{T + 9}.0}}',
        f'{{{ROWS},"count":1000}}',
        f'{{{ROWS},"count":1000,"end_time":{T + 9},"end_time":{T + 9}}}',
        f'{{"end_time":{T + 7},{ROWS},"count":1000,"end_time":{T + 9}}}',
        f'{{{ROWS},"count":1000,"meta":{{}},"end_time":{T + 9}}}',
        f'{{{ROWS},"count":1000,"error":"x","end_time":{T + 9}}}',
        f'{{"ticket_events":[{{"child_events":[],"count":1000,"end_time":{T + 9}}}]}}',
        f'{{"ticket_events":[{{"note":"],\\"count\\":1000,\\"end_time\\":{T + 9}"}}]}}',
        f'{{"users":[],"count":1000,"end_time":{T + 9}}}',
        f'{{"count":1000,"end_time":{T + 9},{ROWS},"end_of_stream":true,"other":[]}}',
        f'[{{{ROWS},"count":1000,"end_time":{T + 9}}}]',
        "",
    ],
)
def test_no_start_is_read_from_any_other_page(body):
    assert stated(body) is None


def test_no_start_is_read_from_an_answer_that_is_no_full_page_at_a_known_time():
    body = f'{{{ROWS},"count":1000,"end_time":{T + 9}}}'
    assert stated(body) == T + 9
    assert stated(body, status=503) is None
    assert stated(body, headers={}) is None
    assert stated(body, request=PageRequest(TICKET_EVENTS, T, per_page=500)) is None
    assert stated(body, request=PageRequest(TICKET_METRIC_EVENTS, T)) is None


texts = st.sampled_from(["", "]", "],", '"', "\\", '],"count":1000', "end_time", "}", "\u00e9"]) | st.text(max_size=5)
names_inside = texts | st.sampled_from(["count", "end_time"])
values = st.recursive(
    st.none() | st.booleans() | st.integers(0, 2 * T) | texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(names_inside, inner, max_size=3),
    max_leaves=8,
)
members = st.fixed_dictionaries(
    {"ticket_events": st.lists(values, max_size=3)},
    optional={
        "count": st.sampled_from([1000, 1, None]) | values,
        "end_time": st.sampled_from([T + 9, T, "x"]) | values,
        "end_of_stream": st.booleans() | values,
        "next_page": texts,
        "other": values,
    },
)


@given(st.data())
@pytest.mark.hypothesis
def test_a_stated_start_is_the_decoded_end_time(data):
    page = data.draw(members)
    names = data.draw(st.permutations(list(page)))
    body = json.dumps({name: page[name] for name in names}, separators=data.draw(st.sampled_from([(",", ":"), (" , ", " : ")])))
    found = stated(body)
    if found is not None:
        decoded = json.loads(body)
        assert found == decoded["end_time"]
        assert decoded.get("end_of_stream", False) is False
        assert decoded["count"] >= 1000 or decoded["end_of_stream"] is False


class Sent:
    """Records which requests are sent ahead."""

    def __init__(self, *, wanted=lambda _: True, may_begin=True):
        self.starts = []
        self.may_begin = may_begin
        self.prefetch = Prefetch(self.begin, lambda: None, wanted=wanted)

    def begin(self, request):
        if not self.may_begin:
            return None
        self.starts.append(request.start_time)
        return lambda: Answer(200, DATE, b"", NOW)

    def page(self, start, *, stated, proven):
        """A page that states one start and proves another."""
        body = f'{{{ROWS},"count":1000,"end_time":{stated}}}'.encode()
        self.prefetch.answer_to(PageRequest(TICKET_EVENTS, start))
        self.prefetch.send_after(PageRequest(TICKET_EVENTS, start), Answer(200, DATE, body, NOW))
        self.prefetch.check(proven if isinstance(proven, End) else Continue(proven))


def test_a_statement_is_trusted_after_one_that_was_right():
    sent = Sent()
    for start in (T, T + 1, T + 2):
        sent.page(start, stated=start + 1, proven=start + 1)
    assert sent.starts == [T + 2, T + 3]


def test_a_server_that_always_states_other_starts_costs_nothing():
    sent = Sent()
    for start in (T, T + 1, T + 2):
        sent.page(start, stated=start + 2, proven=start + 1)
    assert sent.starts == []


@pytest.mark.parametrize("proven", [T + 2, T + 1, End(T + 3)])
def test_a_wrong_statement_costs_one_request_a_walk(proven):
    sent = Sent()
    sent.page(T, stated=T + 1, proven=T + 1)
    sent.page(T + 1, stated=T + 3, proven=proven)
    assert sent.prefetch.requests_under_way == 0
    for start in (T + 2, T + 3, T + 4):
        sent.page(start, stated=start + 1, proven=start + 1)
    assert sent.starts == [T + 3]


def test_nothing_is_sent_that_is_not_wanted_or_has_to_wait():
    for sent in (Sent(wanted=lambda start: start < T), Sent(may_begin=False)):
        for start in (T, T + 1, T + 2):
            sent.page(start, stated=start + 1, proven=start + 1)
        assert sent.starts == []
