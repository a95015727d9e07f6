"""Which facts are told, when, and in which words: each once, whatever the webhook does, and in one message a tick at most."""

import json
import re
from collections import Counter
from dataclasses import dataclass, field, replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ticket_events_pipeline.alerts.message import LONGEST_TEXT
from ticket_events_pipeline.alerts.observation import DayState, FailedRun, MetricState, Observed
from ticket_events_pipeline.alerts.rules import level_of
from ticket_events_pipeline.alerts.settings import AlertSettings, alert_settings
from ticket_events_pipeline.alerts.state import INTERESTING_SECONDS, MOST_TOLD, MOST_WAITING, Memory
from ticket_events_pipeline.alerts.tick import tick
from ticket_events_pipeline.alerts.webhook import Answer
from ticket_events_pipeline.day import Day
from ticket_events_pipeline.errors import SettingsError
from ticket_events_pipeline.text import slack_code

DAY = Day.parse("2026-03-02")
NOON = DAY.start + 12 * 3600
HOUR = 3600
SETTINGS = AlertSettings("https://hooks.example/hush", breaches=10, achievement_percent=80, min_targets=20, stale_hours=3)

TAKEN = Answer(is_accepted=True)
DOWN = Answer(is_accepted=False, reason="503")
REVOKED = Answer(is_accepted=False, is_final=True, reason="404 no_service")


@dataclass
class Desk:
    """Ticks as Dagster makes them, whose cursor is text; what was posted, and what was taken of it."""

    settings: AlertSettings = SETTINGS
    answer: Answer = TAKEN
    cursor: str | None = None
    posted: list[str] = field(default_factory=list)
    taken: list[str] = field(default_factory=list)
    told: str = ""

    def post(self, payload):
        self.posted.append(payload["text"])
        if self.answer.is_accepted:
            self.taken.append(payload["text"])
        return self.answer

    def tick(self, now=NOON, *days, read_at=None, failed=(), keep=True):
        """The lines that were posted by one tick."""
        before = len(self.posted)
        observed = Observed(now, "UTC", days, read_at or {}, tuple(failed))
        ticked = tick(Memory.parse(self.cursor), observed, self.settings, account="acme", post=self.post)
        self.told = ticked.told
        if keep:
            self.cursor = ticked.memory.to_cursor()
        assert len(self.posted) - before <= 1
        return [line for text in self.posted[before:] for line in text.split("\n")[1:]]


def day(breaches, achieved=0, *, of=DAY, metric="first_reply_time", complete=False):
    return DayState(of, of.end if complete else NOON, complete, (MetricState(metric, breaches, achieved),))


def run(number, ended_at=NOON, **more):
    return FailedRun(f"{number:08x}-0000", "fetch_ticket_events", ended_at, **more)


def bold(lines):
    return [re.findall(r"\*(.*?)\*", line)[0] for line in lines]


@pytest.fixture
def desk():
    """One that has ticked before, and told nothing."""
    made = Desk()
    assert made.tick(NOON - HOUR) == []
    return made


def test_what_is_true_is_told_once_and_explained(desk):
    state = DayState(DAY, NOON - 600, False, (MetricState("first_reply_time", 14, 31, "Premium", 9),))
    assert desk.tick(NOON, state, read_at={"ticket_events": NOON - 4 * HOUR}, failed=[run(1, reason="401: no")]) == [
        "• *`ticket_events` has not been read for 4.0 hours*, the last time at 2026-03-02 08:00 UTC, as its newest day's file "
        "says. Told once, from 3 hours on. Is the hourly fetch turned on, and what do its last runs say?",
        "• *A run of `fetch_ticket_events` failed* at 2026-03-02 12:00 UTC, and is not started again by itself. It said: `401: "
        "no`. Its id: `00000001-0000`.",
        "• *14 new breaches of `first_reply_time` on 2026-03-02*, so far, as of 2026-03-02 11:50 UTC: targets that first "
        "breached on that day. Most under the policy `Premium`: 9. Told from 10 on, next at 20. The tickets stand in "
        "`sla_targets` of that day.",
        "• *68.8 % of `first_reply_time` achieved on 2026-03-02*, so far, as of 2026-03-02 11:50 UTC: 31 targets met, 14 "
        "breached. Told once a day below 80 %, from 20 decided targets on. The tickets stand in `sla_targets` of that day.",
    ]
    assert desk.posted[0].split("\n")[0] == "*SLA alert* of `acme`"
    assert desk.told == "Told: 4."
    for minutes in range(1, 6):
        now = NOON + 60 * minutes
        assert desk.tick(now, state, read_at={"ticket_events": NOON - 4 * HOUR}, failed=[run(1)]) == []
    assert desk.told == "Nothing new to tell."


def test_links_lead_into_the_ui_where_its_address_is_known():
    desk = Desk(replace(SETTINGS, dagster_url="http://127.0.0.1:3000"))
    lines = desk.tick(NOON, day(10), read_at={"ticket_events": 0}, failed=[run(1)])
    assert [re.findall("<(.*?)>", line) for line in lines] == [
        ["http://127.0.0.1:3000/runs|The runs"],
        ["http://127.0.0.1:3000/runs/00000001-0000|Open it"],
        ["http://127.0.0.1:3000/assets/daily_sla_breach_summary?partition=2026-03-02&amp;view=partitions|The day's summary"],
    ]


def test_breaches_are_told_at_the_threshold_and_at_each_doubling(desk):
    counts = [0, 5, 9, 10, 11, 19, 20, 25, 39, 40, 41, 39, 9, 45, 160, 300]
    told = {count: bold(desk.tick(NOON + at * 60, day(count))) for at, count in enumerate(counts)}
    assert {count for count, lines in told.items() if lines} == {10, 20, 40, 160}
    assert told[160] == ["160 new breaches of `first_reply_time` on 2026-03-02"]


@pytest.mark.parametrize(("count", "level"), [(0, 0), (2, 0), (3, 1), (5, 1), (6, 2), (11, 2), (12, 3), (23, 3), (24, 4)])
def test_a_level_is_reached_at_the_threshold_times_a_power_of_two(count, level):
    assert level_of(count, 3) == level


def test_every_metric_and_every_day_has_breaches_of_its_own(desk):
    both = DayState(DAY, NOON, False, (MetricState("a", 10, 0), MetricState("b", 9, 0)))
    assert bold(desk.tick(NOON, both)) == ["10 new breaches of `a` on 2026-03-02"]
    both = DayState(DAY, NOON, False, (MetricState("a", 11, 0), MetricState("b", 10, 0)))
    assert bold(desk.tick(NOON, both)) == ["10 new breaches of `b` on 2026-03-02"]
    assert bold(desk.tick(NOON, both, day(10, of=DAY.plus(1), metric="a"))) == ["10 new breaches of `a` on 2026-03-03"]


def test_a_day_that_closes_is_not_told_again_but_what_came_at_its_end_is(desk):
    desk.tick(NOON, day(12, 10), day(2, of=DAY.plus(-1)))
    assert desk.tick(DAY.end + HOUR, day(12, 10, complete=True)) == []
    assert bold(desk.tick(DAY.end + HOUR, day(20, 10, complete=True))) == [
        "20 new breaches of `first_reply_time` on 2026-03-02"
    ]


@pytest.mark.parametrize(
    ("breaches", "achieved", "is_told"),
    [
        (9, 10, False),
        (4, 16, False),
        (5, 15, True),
        (5, 16, True),
        (5, 19, True),
        (5, 20, False),
        (0, 20, False),
        (9, 0, False),
    ],
)
def test_a_rate_is_told_below_the_threshold_with_enough_decided_targets(desk, breaches, achieved, is_told):
    """20 targets at 80 % are as few, and as much, as may be."""
    assert bool(desk.tick(NOON, day(breaches, achieved))) == is_told


def test_a_rate_that_rounds_to_the_threshold_shows_that_it_is_below(desk):
    lines = desk.tick(NOON, DayState(DAY, NOON, False, (MetricState("a", 2001, 7999),)))
    assert bold(lines)[-1] == "79.9 % of `a` achieved on 2026-03-02"


def test_a_rate_that_goes_up_and_down_is_told_once_a_day(desk):
    rates = [(9, 11), (9, 90), (9, 11), (9, 200), (9, 1)]
    lines = [line for at, rate in enumerate(rates) for line in desk.tick(NOON + at, day(*rate), day(9, 11, of=DAY.plus(1)))]
    days = ["% of `first_reply_time` achieved on 2026-03-02", "% of `first_reply_time` achieved on 2026-03-03"]
    assert [text.split(" ", 1)[1] for text in bold(lines)] == days


def test_a_stall_is_told_once_and_its_end_once(desk):
    read = NOON - 3 * HOUR
    stalled = {"ticket_events": read, "ticket_metric_events": NOON}
    assert desk.tick(NOON - 1, read_at=stalled) == []
    assert bold(desk.tick(NOON, read_at=stalled)) == ["`ticket_events` has not been read for 3.0 hours"]
    # However long: also when a whole week passes.
    for hours in range(1, 24 * 7):
        fresh = {"ticket_metric_events": NOON + hours * HOUR}
        assert desk.tick(NOON + hours * HOUR, read_at=stalled | fresh) == []
    back = NOON + 24 * 7 * HOUR
    fresh = {"ticket_events": back, "ticket_metric_events": back}
    assert desk.tick(back, read_at=fresh) == [
        "• *`ticket_events` is read again*, at 2026-03-09 12:00 UTC; it had not been since 2026-03-02 09:00 UTC."
    ]
    assert [desk.tick(back + minutes * 60, read_at=fresh) for minutes in range(100)] == [[]] * 100
    assert bold(desk.tick(back + 3 * HOUR, read_at=fresh)) == [
        "`ticket_events` has not been read for 3.0 hours",
        "`ticket_metric_events` has not been read for 3.0 hours",
    ]


def test_a_stall_that_another_threshold_takes_back_is_not_over(desk):
    read = {"ticket_events": NOON - 4 * HOUR}
    assert desk.tick(NOON, read_at=read) != []
    desk.settings = replace(SETTINGS, stale_hours=26)
    assert desk.tick(NOON + 60, read_at=read) == []


def test_a_failed_run_is_told_once_and_several_make_one_message(desk):
    assert len(desk.tick(NOON, failed=[run(1), run(2)])) == 2
    assert len(desk.tick(NOON, failed=[run(1), run(2), run(3)])) == 1
    assert len(desk.posted) == 2


def test_at_first_sight_only_the_present_is_told_in_one_message():
    """A cursor that was lost, or can't be read, makes no storm."""
    sight = {
        "read_at": {"ticket_events": NOON - 5 * HOUR, "ticket_metric_events": NOON},
        "failed": [run(1, is_over=True), run(2)],
    }
    days = [day(99, of=DAY.plus(-1), complete=True), day(11)]
    for cursor in (
        None,
        "",
        "not a cursor",
        "[]",
        "{}",
        '{"version": 0}',
        '{"version": 1, "told": {"stall x": 3}}',
        "[" * 9999,
    ):
        desk = Desk(cursor=cursor)
        assert bold(desk.tick(NOON, *days, **sight)) == [
            "`ticket_events` has not been read for 5.0 hours",
            "A run of `fetch_ticket_events` failed",
            "11 new breaches of `first_reply_time` on 2026-03-02",
        ]
        assert desk.tick(NOON + 60, *days, **sight) == []


def test_yesterday_counts_at_first_sight_while_it_is_open():
    assert bold(Desk().tick(NOON, day(11, of=DAY.plus(-1)))) == ["11 new breaches of `first_reply_time` on 2026-03-01"]


def test_a_webhook_that_is_down_is_asked_less_and_less_and_then_told_everything_at_once(desk):
    desk.answer = DOWN
    asked = [minute for minute in range(24 * 60) if desk.tick(NOON + minute * 60, day(10 + minute % 2))]
    assert asked[:8] == [0, 1, 3, 7, 15, 31, 63, 123]
    assert asked[8:] == [183 + 60 * hours for hours in range(21)]
    assert "The webhook has taken nothing since 2026-03-02 12:00 UTC (attempts: 29); the last time: 503." in desk.told
    assert desk.told.startswith("1 wait to be told.")
    desk.answer = TAKEN
    lines = desk.tick(NOON + 24 * HOUR + 3 * 60, day(30, 990), failed=[run(1, NOON + 60)])
    assert bold(lines[:2]) == ["30 new breaches of `first_reply_time` on 2026-03-02", "A run of `fetch_ticket_events` failed"]
    assert lines[2:] == ["Told late: since 2026-03-02 12:00 UTC the webhook took nothing."]
    assert desk.tick(NOON + 25 * HOUR, day(30, 990)) == []
    # The next outage begins anew.
    desk.answer = DOWN
    assert [minute for minute in range(9) if desk.tick(NOON + (26 * 60 + minute) * 60, failed=[run(2)])] == [0, 1, 3, 7]


def test_what_is_over_by_the_time_the_webhook_is_back_is_told_all_the_same(desk):
    desk.answer = DOWN
    desk.tick(NOON, day(12, 9), read_at={"ticket_events": NOON - 4 * HOUR})
    desk.answer = TAKEN
    assert bold(desk.tick(NOON + HOUR, day(8, 99), read_at={"ticket_events": NOON + HOUR})[:-1]) == [
        "`ticket_events` has not been read for 4.0 hours",
        "12 new breaches of `first_reply_time` on 2026-03-02",
        "42.8 % of `first_reply_time` achieved on 2026-03-02",
        "`ticket_events` is read again",
    ]


def test_what_nobody_took_in_two_days_is_given_up_and_counted(desk):
    desk.answer = DOWN
    desk.tick(NOON, day(12), failed=[run(1)])
    late = NOON + INTERESTING_SECONDS + 1
    desk.answer = TAKEN
    assert desk.tick(late, day(3, of=DAY.plus(2))) == []
    assert desk.told == "Nothing new to tell."
    lines = desk.tick(late + 60, failed=[run(2, late)])
    assert lines[1:] == [
        "Told late: since 2026-03-02 12:00 UTC the webhook took nothing.",
        "Given up, as nobody took them within 2 days: 2.",
    ]
    assert len(desk.tick(late + 120, failed=[run(3, late)])) == 1


def test_a_webhook_that_refuses_for_good_is_asked_once_an_hour_and_named(desk):
    desk.answer = REVOKED
    asked = [minute for minute in range(6 * 60) if desk.tick(NOON + minute * 60, day(10))]
    assert asked == [0, 60, 120, 180, 240, 300]
    assert "404 no_service" in desk.told
    assert "check TICKET_EVENTS_ALERT_WEBHOOK, or make a new webhook (this one may have been revoked)" in desk.told
    assert "The next attempt is at 2026-03-02 18:00 UTC." in desk.told


def test_another_webhook_is_tried_at_once(desk):
    desk.answer = REVOKED
    assert desk.tick(NOON, day(10))
    desk.settings = replace(SETTINGS, webhook="https://hooks.example/new")
    desk.answer = TAKEN
    assert desk.tick(NOON + 60, day(10))


@pytest.mark.parametrize(
    ("asked", "seconds"), [(None, 60), (0, 60), (30, 60), (600, 600), (90_000, 6 * HOUR), (1e300, 6 * HOUR), (61.4, 61)]
)
def test_the_wait_that_the_webhook_asks_for_is_kept_within_bounds(desk, asked, seconds):
    desk.answer = Answer(is_accepted=False, reason="429", wait_seconds=asked)
    assert desk.tick(NOON, day(10))
    assert desk.tick(NOON + seconds - 1, day(10)) == []
    assert desk.tick(NOON + seconds, day(10))


def test_a_clock_that_was_put_back_does_not_silence_the_alerts(desk):
    desk.answer = DOWN
    desk.tick(NOON + 365 * 24 * HOUR, day(10))
    assert desk.tick(NOON, day(10))


def test_a_process_that_dies_before_its_cursor_is_kept_tells_it_once_more(desk):
    """At least once is all that HTTP can give."""
    assert desk.tick(NOON, day(10), keep=False)
    assert desk.tick(NOON + 60, day(10))
    assert desk.tick(NOON + 120, day(10)) == []


def test_a_message_has_a_longest_length_and_says_how_many_more_there_are(desk):
    failed = [run(number, NOON + number, reason="<&>" * 99) for number in range(100)]
    lines = desk.tick(NOON + HOUR, day(10), failed=failed)
    assert len(desk.posted[0]) <= LONGEST_TEXT
    assert lines[-1] == f"… and {101 - (len(lines) - 1)} more."
    assert len(lines) > 1
    assert desk.told == "Told: 101."
    assert desk.tick(NOON + HOUR + 60, day(10), failed=failed) == []


def test_what_waits_and_what_is_remembered_has_a_longest_number(desk):
    desk.answer = DOWN
    for hour in range(40):
        desk.tick(NOON + hour * HOUR, failed=[run(hour * 100 + number, NOON + hour * HOUR) for number in range(100)])
    kept = Memory.parse(desk.cursor)
    assert (len(kept.waiting), len(kept.told)) == (MOST_WAITING, MOST_TOLD)
    assert kept.counted == 4000 - MOST_WAITING
    assert len(desk.cursor) < 100_000
    desk.answer = TAKEN
    assert desk.tick(NOON + 48 * HOUR)[-2] == f"… and {4000 - len(desk.posted[-1].split('• ')) + 1} more."


def test_what_was_told_is_forgotten_when_it_can_not_come_back(desk):
    desk.tick(NOON, day(10), failed=[run(1)])
    desk.tick(NOON + 2 * 24 * HOUR)
    assert len(json.loads(desk.cursor)["told"]) == 2
    desk.tick(NOON + 4 * 24 * HOUR)
    assert json.loads(desk.cursor)["told"] == {}


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=6,
)
PLAIN = Memory().to_cursor()


@given(
    st.sampled_from(["told", "waiting", "counted", "given_up", "outage", "version"]),
    JSON
    | st.builds(lambda level, at: {"stall ticket_events 9": [level, at], "a": [1, NOON]}, JSON, JSON)
    | st.builds(lambda at: [{"subject": "a", "level": 1, "text": "b", "at": at}], JSON)
    | st.builds(lambda at: {"since": at, "failures": 1, "next_at": NOON, "reason": "", "webhook_mark": ""}, JSON),
)
def test_a_cursor_with_anything_in_it_breaks_no_tick(name, value):
    """Somebody may have set it by hand; what can't be read is a first sight."""
    desk = Desk(cursor=json.dumps({**json.loads(PLAIN), name: value}), answer=DOWN)
    for hours in range(3):
        desk.tick(NOON + hours * HOUR, day(10), read_at={"ticket_events": NOON})
        assert Memory.parse(desk.cursor).to_cursor() == desk.cursor


EVIL = [
    "<!channel>",
    "@here",
    "*b* _i_ ~s~ `c` ```x```",
    "a\nb\r\x1b[31m\u202e\ud800",
    "<script>&amp;</script>|[x](http://x)",
    "",
]


@pytest.mark.parametrize("evil", EVIL)
def test_text_of_the_account_is_text_wherever_it_stands(evil):
    desk = Desk()
    state = DayState(DAY, NOON, False, (MetricState(evil, 90, 1, evil, 90),))
    desk.tick(NOON, state, failed=[FailedRun("0-0", evil, NOON, evil)])
    (text,) = desk.posted
    assert slack_code(evil) in text
    for line in text.split("\n"):
        # Outside of code there is none of it; inside, nothing that is a mark there.
        assert line.count("`") % 2 == 0
        outside, inside = line.split("`")[::2], line.split("`")[1::2]
        assert not re.search(r"[@<>~|\[\]]|here|channel|script", "".join(outside))
        assert not re.search("[@<>]", "".join(inside))
    assert text.replace("\n", "").isprintable()


def test_a_metric_of_any_name_is_remembered_in_few_characters(desk):
    names = ["x" * 9000, "\ud800", "breaches 2026-03-02 a", "stall ticket_events 5"]
    for name in names:
        assert desk.tick(NOON, day(10, metric=name)), name
        assert desk.tick(NOON, day(10, metric=name)) == [], name
    assert len(desk.cursor) < 400


def _parts(lines):
    """Of a message's lines, the facts that they tell, each as (subject, level)."""
    patterns = {
        r"(\d+) new breach(?:es)? of `(\w+)` on (\S+)\*": lambda m: (("breaches", m[2], m[3]), level_of(int(m[1]), 10)),
        r"% of `(\w+)` achieved on (\S+)\*": lambda m: (("rate", m[1], m[2]), 1),
        r"`(\w+)` has not been read for .*, the last time at (.*? UTC)": lambda m: (("stall", m[1], m[2]), 1),
        r"`(\w+)` is read again\*, .*since (.*? UTC)": lambda m: (("reading", m[1], m[2]), 1),
        r"Its id: `(\w+)-": lambda m: (("run", m[1]), 1),
    }
    found = [made(match) for line in lines for text, made in patterns.items() if (match := re.search(text, line))]
    assert len(found) == len([line for line in lines if line.startswith("•")])
    return found


STEPS = st.lists(
    st.tuples(
        st.sampled_from([60, 300, 1200, HOUR, 2 * HOUR]),  # until the next tick
        st.sampled_from([TAKEN, TAKEN, DOWN, REVOKED, Answer(is_accepted=False, reason="429", wait_seconds=900)]),
        st.integers(0, 25),  # more breaches, or as many withdrawn
        st.booleans(),
        st.integers(0, 12),  # more targets met
        st.booleans(),  # whether the stream is read
        st.integers(0, 2),  # more runs that fail
    ),
    min_size=1,
    max_size=14,
)


@given(STEPS, st.booleans())
def test_every_fact_is_told_at_least_once_if_the_webhook_comes_back_and_at_most_once_if_the_cursors_are_kept(steps, is_new):
    """Whatever happens in a day or so; a model of a few lines says what was true."""
    desk, now, breaches, achieved, read_at, failed, stalled = Desk(), NOON, 0, 0, NOON, [], None
    true: dict[tuple[str, ...], int] = {}
    if not is_new:
        desk.tick(now - 60)
    for seconds, answer, more, is_less, met, is_read, failures in [*steps, (7 * HOUR, TAKEN, 0, False, 0, False, 0)]:
        now, achieved, desk.answer = now + seconds, achieved + met, answer
        breaches = max(0, breaches - more if is_less else breaches + more)
        failed += [run(len(failed) + number + 1, now) for number in range(failures)]
        read_at = now if is_read else read_at
        desk.tick(now, day(breaches, achieved), read_at={"ticket_events": read_at}, failed=failed)
        key = ("first_reply_time", "2026-03-02")
        true["breaches", *key] = max(true.get(("breaches", *key), 0), level_of(breaches, 10))
        if breaches + achieved >= 20 and achieved / (breaches + achieved) < 0.8:
            true["rate", *key] = 1
        true |= {("run", failure.run_id[:8]): 1 for failure in failed}
        if now - read_at >= 3 * HOUR:
            stalled = (
                "ticket_events",
                f"{Day.containing(read_at)} {read_at % 86_400 // HOUR:02}:{read_at % HOUR // 60:02} UTC",
            )
            true["stall", *stalled] = 1
        elif stalled is not None:
            true["reading", *stalled] = 1
            stalled = None
    assert not Memory.parse(desk.cursor).has_news
    messages = [_parts(text.split("\n")) for text in desk.taken]
    told = [fact for message in messages for fact in message]
    assert max(Counter(told).values(), default=1) == 1, "a fact was told twice"
    levels = [level for subject, level in told if subject[0] == "breaches"]
    assert levels == sorted(levels)
    is_cut = any("more." in text.split("\n")[-1] or "more.\n" in text for text in desk.taken)
    if not is_cut:
        assert {subject: max(level for other, level in told if other == subject) for subject, _ in told} == {
            subject: level for subject, level in true.items() if level
        }


ALERTS = {"TICKET_EVENTS_ALERT_WEBHOOK": "https://hooks.example/services/hush"}


def test_the_settings_defaults():
    assert alert_settings(ALERTS) == AlertSettings("https://hooks.example/services/hush", 10, 80, 20, 3, None)


def test_every_setting_lands_in_its_place():
    variables = {
        "TICKET_EVENTS_ALERT_WEBHOOK": " http://127.0.0.1:8065/hooks/hush?x=1 ",
        "TICKET_EVENTS_ALERT_BREACHES": "1",
        "TICKET_EVENTS_ALERT_ACHIEVEMENT_PERCENT": "100",
        "TICKET_EVENTS_ALERT_MIN_TARGETS": "999999",
        "TICKET_EVENTS_ALERT_STALE_HOURS": "26",
        "TICKET_EVENTS_DAGSTER_URL": "http://dagster.example:3000/path/",
    }
    expected = AlertSettings("http://127.0.0.1:8065/hooks/hush?x=1", 1, 100, 999_999, 26, "http://dagster.example:3000/path")
    assert alert_settings(variables) == expected
    assert "hush" not in repr(expected) + str(expected)
    assert "hush" not in expected.webhook_mark


@pytest.mark.parametrize(
    ("variable", "value", "words"),
    [
        ("WEBHOOK", "", "is not set: give the URL of an incoming webhook"),
        ("WEBHOOK", "http://hooks.example/hush", "must begin with https://"),
        ("WEBHOOK", "http://10.0.0.1/hush", "must begin with https://"),
        ("WEBHOOK", "ftp://localhost/hush", "must begin with https://"),
        ("WEBHOOK", "https://me:hush@hooks.example/", "no user"),
        ("WEBHOOK", "https://hooks.example/#hush", "no user or fragment"),
        ("WEBHOOK", "hush", "is no URL"),
        ("WEBHOOK", "https://hooks.example/hu sh", "is no URL"),
        ("WEBHOOK", "https://hooks.example/hush\nX: 1", "is no URL"),
        ("WEBHOOK", "https://[hush", "is no URL"),
        ("WEBHOOK", "https://hooks.example:hush/", "is no URL"),
        ("BREACHES", "0", "is no whole number from 1 to 999999"),
        ("BREACHES", "https://hooks.example/hush", "is no whole number"),
        ("BREACHES", "٣", "is no whole number"),
        ("ACHIEVEMENT_PERCENT", "101", "is no whole number from 1 to 100"),
        ("ACHIEVEMENT_PERCENT", "80%", "is no whole number from 1 to 100"),
        ("MIN_TARGETS", "-1", "is no whole number"),
        ("STALE_HOURS", "1.5", "is no whole number"),
    ],
)
def test_a_wrong_setting_is_named_and_not_quoted(variable, value, words):
    with pytest.raises(SettingsError) as caught:
        alert_settings({**ALERTS, f"TICKET_EVENTS_ALERT_{variable}": value})
    (problem,) = caught.value.problems
    assert problem.startswith(f"TICKET_EVENTS_ALERT_{variable}")
    assert words in problem
    assert "hush" not in problem


@pytest.mark.parametrize(
    "url", ["javascript:alert(1)", "ftp://x", "http://a|b", "http://a>b", "https://me:hush@x", "http://x/?a=hush"]
)
def test_what_links_begin_with_is_an_address_and_nothing_else(url):
    with pytest.raises(SettingsError, match="TICKET_EVENTS_DAGSTER_URL") as caught:
        alert_settings({**ALERTS, "TICKET_EVENTS_DAGSTER_URL": url})
    assert "hush" not in str(caught.value)


def test_all_wrong_settings_are_told_at_once():
    names = ["WEBHOOK", "BREACHES", "ACHIEVEMENT_PERCENT", "MIN_TARGETS", "STALE_HOURS"]
    with pytest.raises(SettingsError) as caught:
        alert_settings({f"TICKET_EVENTS_ALERT_{name}": "x" for name in names})
    assert [problem.split(":")[0] for problem in caught.value.problems] == [f"TICKET_EVENTS_ALERT_{name}" for name in names]
