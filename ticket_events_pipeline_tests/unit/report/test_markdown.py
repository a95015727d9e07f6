"""The summary as Markdown: its figures, and text from the account shown literally."""

from __future__ import annotations

import re
from dataclasses import replace
from html.parser import HTMLParser

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from ticket_events_pipeline.decoding.json_values import as_text
from ticket_events_pipeline.report.markdown import summary_markdown
from ticket_events_pipeline.report.model import (
    Change,
    ContradictedTarget,
    Counted,
    DayReport,
    Elapsed,
    MetricFigures,
    PolicyFigures,
    Spread,
    Usual,
)
from ticket_events_pipeline.text import markdown_text, metric_name
from ticket_events_pipeline_tests.support.hand_made_reports import (
    DATA_QUALITY,
    DAY,
    FIRST_REPLY,
    NEVER_OVERDUE,
    NO_ELAPSED,
    STANDARD,
    day_report,
)

RENDERER = MarkdownIt("gfm-like", {"html": True, "linkify": True})


def usual(median: float, least: float, greatest: float) -> Usual:
    spread = Spread(median, least, greatest)
    return Usual(days=6, breaches=spread, achieved=spread, achievement_rate=None)


def metric(name: str, day: Counted, *, deleted: int | None = 0, **more) -> MetricFigures:
    values = {"usual": None, "breaches_change": Change.UNKNOWN, "elapsed": NO_ELAPSED, "breached_open": 2} | more
    return replace(FIRST_REPLY, sla_metric=name, day=day, flow=replace(FIRST_REPLY.flow, deleted=deleted), **values)


def policy(title: str | None = "Standard", **more) -> PolicyFigures:
    values = {"day": Counted(3, 33, 1), "active": 12, "breached_open": 1, "overdue": NEVER_OVERDUE, "usual": usual(2.5, 0, 4)}
    return replace(STANDARD, policy_title=title, **(values | more))


def report(*policies: PolicyFigures, **more) -> DayReport:
    quality = replace(DATA_QUALITY, **more.pop("data_quality", {}))
    values = {"metrics": (metric("first_reply_time", Counted(3, 33, 1)),), "data_quality": quality}
    return day_report(policies=policies, **(values | more))


class Rendered(HTMLParser):
    """The elements and the text of each cell of the table, and the text outside it."""

    def __init__(self, markdown: str) -> None:
        super().__init__(convert_charrefs=True)
        self.elements: list[str] = []
        self.rows: list[list[str]] = []
        self.paragraphs = ""
        self._in_cell = False
        self.feed(RENDERER.render(markdown))
        self.close()

    def handle_starttag(self, tag: str, attrs: list) -> None:
        self.elements.append(tag)
        if tag == "tr":
            self.rows.append([])
        if tag in ("td", "th"):
            self.rows[-1].append("")
            self._in_cell = True

    def handle_endtag(self, tag: str) -> None:
        self._in_cell = self._in_cell and tag not in ("td", "th")

    def handle_data(self, data: str) -> None:
        if self._in_cell:
            self.rows[-1][-1] += data
        else:
            self.paragraphs += data


POLICIES = ["Metric", "Policy", "Rate", "Breaches", "Usual", "Achieved", "Late and open", "Open"]


def test_tables_have_a_row_per_metric_and_per_policy():
    metrics = (
        metric(
            "first_reply_time",
            Counted(3, 33, 1),
            elapsed=Elapsed(34, 754, 9000),
            usual=usual(1, 0, 2),
            breaches_change=Change.MORE,
        ),
        metric("next_reply_time", Counted(0, 1234, 0), usual=usual(3, 3, 3), breached_open=0),
        metric("agent_work_time", Counted(0, 0, 0)),
    )
    hours = policy(
        "Bürozeiten", sla_metric="next_reply_time", business_hours=True, usual=None, day=Counted(0, 0, 0), active=1234
    )
    unknown = policy(None, policy_id=None, business_hours=None, day=Counted(1, 0, 0), usual=usual(0.5, 0, 1))
    assert Rendered(summary_markdown(report(policy(), hours, unknown, metrics=metrics))).rows == [
        ["Metric", "Rate", "Goal", "Breaches", "Usual", "Median time", "Late and open"],
        ["First reply time", "91.7%", "✗ below the goal", "3", "1 (0–2) ▲ more than usual", "12 min", "2"],
        ["Next reply time", "100%", "✓ goal reached", "0", "3", "-", "0"],
        ["Agent work time", "-", "-", "0", "-", "-", "2"],
        POLICIES,
        ["First reply time", "Standard, calendar hours", "91.7%", "3", "2.5 (0–4)", "33", "1", "12"],
        ["Next reply time", "Bürozeiten, business hours", "-", "0", "-", "0", "1", "1,234"],
        ["First reply time", "no known policy, hours unknown", "0%", "1", "0.5 (0–1)", "0", "1", "12"],
    ]


def test_the_headline_comes_first_and_the_state_last():
    metrics = (metric("first_reply_time", Counted(3, 33, 1)), metric("next_reply_time", Counted(1, 1000, 0)))
    text = summary_markdown(report(policy(), metrics=metrics))
    assert text.split("\n\n")[0] == (
        "**▲ 4 targets breached: more than on the last 8 Mondays (2–6).** ✗ Below the goal of 95%: First reply time 91.7%."
    )
    assert text.split("\n\n")[-1] == (
        "The day is complete; figures as of Tue 24 Nov, 00:00 (Europe/Berlin). "
        "Usual: the median of the last 8 Mondays (lowest–highest)."
    )


def test_a_day_with_too_few_earlier_ones_is_compared_with_nothing():
    text = summary_markdown(report(metrics=(metric("x", Counted(1, 99, 0)),), usual=None, breaches_change=Change.UNKNOWN))
    assert text.startswith("**1 target breached.** ✓ Every metric reached the goal of 95%.")
    assert text.endswith("There are not enough earlier Mondays to compare with.")


def test_an_open_day_missing_days_and_a_broken_feed_are_stated():
    quality = {
        "is_complete": False,
        "as_of": DAY.start + 45_000,
        "missing_days": (DAY.plus(-3), DAY.plus(-2)),
        "applied_events": 0,
    }
    text = Rendered(summary_markdown(report(policy(), data_quality=quality))).paragraphs
    assert "The day is open; figures as of Mon 23 Nov, 12:30 (Europe/Berlin)." in text
    assert "Of the last 30 days, these have no summary: 20 to 21 Nov." in text
    assert "The feed is broken: these figures are not the day's." in text
    assert "its figures will change" not in text  # stated once


def test_deleted_and_contradicted_targets_and_older_rules_are_stated():
    odd = {"contradicted": 2, "contradicted_targets": (ContradictedTarget(41, "reply_time"), ContradictedTarget(42, "x"))}
    deleted = (metric("first_reply_time", Counted(3, 33, 1), deleted=4), metric("agent_work_time", Counted(0, 0, 0), deleted=1))
    text = Rendered(summary_markdown(report(metrics=deleted, data_quality={**odd, "rules_version": 1}))).paragraphs
    assert "5 targets closed because their ticket was deleted." in text
    assert "2 targets with an outcome that the measured duration contradicts (tickets 41, 42)" in text
    assert "Made under the rules of version 1: make the SLA tables of the day again to apply the current rules." in text


def test_without_deletions_and_contradictions_neither_is_mentioned():
    text = summary_markdown(report(metrics=(metric("first_reply_time", Counted(3, 33, 1), deleted=None),)))
    assert not [word for word in ("deleted", "contradict", "rules") if word in text]


def test_whole_feed_is_not_called_broken():
    assert "broken" not in summary_markdown(report(policy()))


def test_day_without_targets_has_no_table():
    text = summary_markdown(report(metrics=()))
    assert "No target was open on this day." in text
    assert "|" not in text


NASTY = [
    "<script>alert(1)</script>",
    "<b onmouseover=x>b</b>",
    "a | b || c",
    "`code` ``` *bold* _i_ __b__ ~~gone~~",
    "[here](javascript:alert(1)) ![x](data:x) [^1] [ref] [x]: /y",
    "&lt;b&gt; &amp; &#60; &nbsp;",
    "# head",
    "1. one",
    "- [ ] do",
    "> quote",
    "---",
    "    code",
    "  two  spaces  ",
    "line\nline\r\nline\n\nparagraph",
    "\ttab\t",
    "https://evil.example/x?y=z&a#b",
    "see www.evil.example, or HTTP://EVIL.EXAMPLE.",
    "mail a.b+c@evil.example or mailto:a@b.example",
    "//evil.example evil.com ftp://evil.example xmpp:a@b.example",
    "<https://evil.example> <a@b.example>",
    "<!-- --> --> <![CDATA[ <? ?> <!x>",
    "\\| \\\\ \\",
    "$x^2$ :smile: @user #1",
    "\u2028\u2029\u00a0\u3000x\u200b\u202ey",
    "注文 Zażółć 😕 é",
    "",
    " ",
]

TEXT = st.one_of(
    st.text(st.characters(exclude_categories=["Cc"], include_characters="\t\n\r")),
    st.lists(
        st.sampled_from([*NASTY, "http", "://", "www", ".", "@", "a", " ", "|", "\\", "<", "&", "#", "\n"]), max_size=6
    ).map("".join),
)

ADDRESSES = [re.compile(r"https?://|www(?=\.)", re.IGNORECASE), re.compile(r"[-.\w+]@[-\w]+\.[-\w]")]
"""Patterns that the UI turns into links, searched in each text of the rendered page."""


def texts(markdown: str) -> list[str]:
    """The texts in which a renderer searches for addresses: those between two tags or comments."""
    return [piece for piece in re.split(r"<[^>]*>", RENDERER.render(markdown)) if piece.strip()]


def same(one: str, other: str) -> bool:
    """HTML parsers normalise line ends."""
    return re.sub(r"\r\n?", "\n", one) == re.sub(r"\r\n?", "\n", other)


@given(TEXT)
@example("www.a.b")
@example("a@b.c")
@example("WWW.")
@example("\ud800")
def test_any_text_is_shown_literally_and_makes_no_element(text):
    cell = markdown_text(text)
    assert "\n" not in cell
    shown = Rendered(f"| x | y |\n| --- | --- |\n| {cell} | z |")
    assert shown.elements == ["table", "thead", "tr", "th", "th", "tbody", "tr", "td", "td"]
    assert same(shown.rows[1][0], as_text(text))  # half a character shows as U+FFFD
    assert shown.rows[1][1] == "z"
    assert not [found for piece in texts(cell) for pattern in ADDRESSES if (found := pattern.search(piece))]


@pytest.mark.parametrize("text", NASTY)
def test_nasty_titles_show_as_text_in_the_table(text):
    title = f"x{text}"
    names = (metric(f"x{text}", Counted(1, 1, 1)),)
    shown = Rendered(summary_markdown(report(policy(title), policy(title, sla_metric=text), metrics=names)))
    assert [len(row) for row in shown.rows] == [7, 7, 8, 8, 8]
    assert same(shown.rows[1][0], metric_name(title))
    assert same(shown.rows[3][1], f"{title}, calendar hours")
    assert set(shown.elements) == {"p", "strong", "table", "thead", "tbody", "tr", "th", "td"}


@pytest.mark.parametrize("text", NASTY)
def test_text_shows_as_text_in_a_line_too(text):
    shown = Rendered(f"x {markdown_text(text)} y")
    assert shown.elements == ["p"]
    assert same(shown.paragraphs.removesuffix("\n"), f"x {text} y")


@given(st.characters(categories=["Cc", "Cs"], exclude_characters="\t\n\r"))
def test_characters_that_no_page_can_show_become_the_replacement_character(character):
    assert Rendered(f"x{markdown_text(f'a{character}b')}y").paragraphs == "xa\N{REPLACEMENT CHARACTER}by\n"


def test_ordinary_titles_stay_readable_in_the_source():
    assert markdown_text("Büro 24 VIP Łódź") == "Büro 24 VIP Łódź"
