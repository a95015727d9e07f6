"""Which chat a webhook belongs to, and that a message has that chat's markup and no other."""

import pytest

from ticket_events_pipeline.alerts.chats import SLACK, Chat, chat_of
from ticket_events_pipeline.alerts.message import Context, payload
from ticket_events_pipeline.alerts.rules import Fact, LowRate, NewBreaches, ResumedStream, StalledStream
from ticket_events_pipeline.alerts.state import News
from ticket_events_pipeline_tests.support.alert_desk import NOON, day, run


@pytest.mark.parametrize(
    "webhook",
    ["https://hooks.slack.com/services/T/B/x", "https://chat.example/hooks/x", "http://127.0.0.1:9/x", "https://10.1.2.3/x"],
)
def test_a_webhook_of_no_known_chat_gets_the_messages_of_slack(webhook):
    assert chat_of(webhook) is SLACK


def test_a_message_has_the_markup_of_its_chat_and_none_of_slack_s():
    chat = Chat(
        hosts=(".example",),
        bold=lambda text: f"[b]{text}[/b]",
        code=lambda text, *, limit=80: f"[c]{text[:limit]}[/c]",
        link=lambda url, text: f"[a {url}]{text}[/a]",
        message=lambda lines: {"lines": list(lines)},
    )
    state = day(10, 3)
    (metric,) = state.metrics
    contents = [
        NewBreaches(state, metric, threshold=10, next_at=20),
        LowRate(state, metric, threshold_percent=80, min_targets=5),
        StalledStream("ticket_events", NOON, 9 * 3600, 3),
        ResumedStream("ticket_events", NOON, NOON - 3600),
        run(1, reason="401: no"),
    ]
    context = Context("acme", "UTC", "http://127.0.0.1:3000", "summary", chat)
    made = payload(News(tuple(Fact(f"subject {n}", content) for n, content in enumerate(contents)), None), context)
    text = "\n".join(made["lines"])
    assert made["lines"][0] == "[b]SLA alert[/b] of [c]acme[/c]"
    assert text.count("[b]") == len(contents)  # the title's, and one for both facts of the metric
    assert "[a http://127.0.0.1:3000/assets/summary?partition=2026-03-02&view=partitions]in Dagster[/a]" in text
    assert not set(text) & set("*`<|>")
