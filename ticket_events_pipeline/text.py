"""Text for people: escaped for the place where it is shown, and times, durations, counts and sizes in one format each.

An escaper is named by its target (a terminal, Markdown, Slack, one line of a log). Whatever an account's text holds, it shows
there as text and does nothing. HTML and SVG are escaped by the libraries that write them. Numbers are never rounder than the
truth, and nothing depends on the machine's clock, zone or language: equal values give equal text everywhere.
"""

from __future__ import annotations

import datetime as dt
import re
import unicodedata
from collections.abc import Iterable, Sequence

from ticket_events_pipeline.day import Day, day_ranges, zone

LONGEST_NAME = 80
"""Characters that are shown of an account's name inside a sentence."""

WEEKDAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
MONTHS = (
    "January", "February", "March", "April", "May", "June",
    "July", "August", "September", "October", "November", "December",
)  # fmt: skip

_MOST_RANGES = 8
_IN_DAYS_FROM = 2 * 86_400

# Control and format characters (escape sequences, writing from right to left) and line ends; joiners belong to words and emoji.
_ACTS_ON_A_TERMINAL = {"Cc", "Cf", "Cs", "Zl", "Zp"}
_JOINERS = "\u200c\u200d"

_CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f]")
_MARKDOWN_SYNTAX = re.compile(r"[!-/:-@\[-`{-~]|[^\S ]|(?<!\S) | (?!\S)")  # ASCII punctuation, and space that could be cut off
_INSIDE_AN_ADDRESS = re.compile(r"(?<=\S)(?=[:/@]\S|\.)")  # `www.` alone is one to the UI
_BREAK = "<!-- -->"
_ADDRESS_BEGINS = re.compile(r":(?=//)|www(?=\.)|mailto(?=:)", re.IGNORECASE)
# An underscore inside a word does nothing, and neither does `<` before a number; `{{` begins a date that the client formats.
_ACTS_IN_A_CARD = re.compile(r"[*`\[\]\\~@]|(?<![^\W_])_|_(?![^\W_])|\{(?=\{)|<(?=[A-Za-z/!?])|&(?=#?\w+;)")
_TO_WIDE = 0xFF01 - 0x21
# Control characters but tab and line feed, surrogates, and what is no character at all.
_NOT_IN_HTML = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff\ufffe\uffff]")


def terminal_text(text: str) -> str:
    r"""The text with every character that acts on a terminal written out, `\x1b` for the one that begins its commands."""
    return "".join(
        _written_out(char) if unicodedata.category(char) in _ACTS_ON_A_TERMINAL and char not in _JOINERS else char
        for char in text
    )


def printable_lines(text: str) -> str:
    """The text's lines, with a space for every other character that cannot be printed."""
    return "".join(char if char.isprintable() or char == "\n" else " " for char in text)


def one_line(text: str, *, limit: int | None = None) -> str:
    """The text on one line of a log, without control characters or runs of spaces, cut to `limit` characters."""
    return shortened(" ".join(printable_lines(text).split()), limit)


def shortened(text: str, limit: int | None) -> str:
    """The text, or its beginning and an ellipsis where it has more than `limit` characters."""
    return text if limit is None or len(text) <= limit else text[: limit - 1] + "…"


def markdown_text(text: str) -> str:
    """The text as Markdown that shows it letter by letter on one line, whatever it holds.

    Every character that could mean something is written as a reference; one that no page can show becomes U+FFFD. Inside what
    could be an address, invisible comments split it: GitHub's dialect makes links of bare addresses.
    """
    showable = _CONTROL.sub("\N{REPLACEMENT CHARACTER}", valid_unicode(text))
    pieces = _INSIDE_AN_ADDRESS.split(showable)
    return _BREAK.join(_MARKDOWN_SYNTAX.sub(lambda found: f"&#{ord(found[0])};", piece) for piece in pieces)


def markdown_code(text: str | None) -> str:
    """The text in backticks, on one line and printable, for Markdown and terminals; `none` without backticks for None.

    Between backticks Markdown knows neither markup nor HTML nor links. Some of the text's own need a longer fence.
    """
    if text is None:
        return "none"
    shown = "".join(char if char.isprintable() else _written_out(char) for char in text)
    shown = shown if len(shown) <= LONGEST_NAME else shown[:LONGEST_NAME] + "…"
    fence = "`" * (1 + max(map(len, re.findall("`+", shown)), default=0))
    # A space on either side belongs to the fence where the text begins or ends with a backtick, or is blank.
    padding = " " if fence != "`" or not shown.strip() else ""
    return f"{fence}{padding}{shown}{padding}{fence}"


def slack_text(text: str) -> str:
    """The text with the three characters escaped that Slack wants escaped."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def slack_code(text: str, *, limit: int = LONGEST_NAME) -> str:
    """The text as one line in Slack's code marks, where nothing in it is markup, a link or a mention.

    Other chats that take Slack's messages still find mentions there, so that the `@` is replaced. `limit` counts characters
    before they are escaped.
    """
    return slack_text(code_text(text, limit=limit))


def code_text(text: str, *, limit: int = LONGEST_NAME) -> str:
    """The text as one line in code marks for Markdown of any dialect, and for readers that know none: nothing in it acts.

    A backtick would end the marks and becomes an apostrophe; an `@` would call people in some chats.
    """
    plain = one_line(text).replace("`", "'").replace("@", "\N{FULLWIDTH COMMERCIAL AT}")
    return f"`{shortened(plain, limit) or '-'}`"


def card_text(text: str) -> str:
    """The text on one line of an Adaptive Card's text block, where nothing in it is markup, a link or a mention.

    Not every client knows how to escape a character of its Markdown: one that could act becomes its wide form, which looks
    alike.
    """
    return unlinked(_ACTS_IN_A_CARD.sub(lambda found: chr(ord(found[0]) + _TO_WIDE), one_line(text)))


def unlinked(text: str) -> str:
    """The text with an invisible space in what programs would make a link of: `https://`, `www.`."""
    return _ADDRESS_BEGINS.sub("\\g<0>\N{ZERO WIDTH SPACE}", text)


def html_characters(page: str) -> str:
    """The page with U+FFFD for every character that HTML cannot hold. Markup is the template engine's to escape."""
    return _NOT_IN_HTML.sub("\N{REPLACEMENT CHARACTER}", page)


def valid_unicode(text: str) -> str:
    """The text as UTF-8 can hold it: a lone surrogate becomes U+FFFD."""
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    return text


def count_text(number: float) -> str:
    """1234 → `1,234`; 5.14 → `5.1`; 5.0 → `5`."""
    rounded = round(number, 1)
    return f"{rounded:,.0f}" if rounded == int(rounded) else f"{rounded:,.1f}"


def plural(number: int, noun: str, nouns: str | None = None) -> str:
    """1 → `1 day`; 1234 → `1,234 days`; 2 → `2 breaches`; `nouns` is the plural of a noun that forms it otherwise."""
    regular = f"{noun}es" if noun.endswith("ch") else f"{noun}s"
    return f"{number:,} {noun if number == 1 else nouns or regular}"


def counted(number: int, one: str, many: str) -> str:
    """`counted(1, "row is", "rows are")` → `1 row is`; 1234 → `1,234 rows are`."""
    return f"{number:,} {one if number == 1 else many}"


def rate_text(share: float) -> str:
    """0.9167 → `91.7%`. Never 100% or 0% unless it is exactly that.

    It is never rounded up to a whole percent: 94.97% is below a goal of 95%, and is shown so.
    """
    text = f"{share:.1%}"
    if text == "100.0%":
        return "100%" if share == 1 else ">99.9%"
    if text == "0.0%":
        return "0%" if share == 0 else "<0.1%"
    is_rounded_up = text.endswith(".0%") and float(text[:-1]) / 100 > share
    return f"{float(text[:-1]) - 0.1:.1f}%" if is_rounded_up else text


def percent_text(percent: float) -> str:
    """A goal: 95.0 → `95%`; 97.5 → `97.5%`."""
    return f"{percent:g}%"


def size_text(size_bytes: float) -> str:
    """1,500 → `2 kB`; decimal units."""
    for unit in ("B", "kB", "MB", "GB"):
        if size_bytes < 1000:
            return f"{size_bytes:,.0f} {unit}"
        size_bytes /= 1000
    return f"{size_bytes:,.1f} TB"


def duration_text(seconds: float) -> str:
    """A length of time in its two largest units, cut, not rounded: `2 d 3 h`, `27 h 5 min`, `12 min`, `45 s`.

    Days begin at two: a day next to a target of 24 h would look like another length.
    """
    whole = int(seconds)
    if whole < _IN_DAYS_FROM:
        return clock_text(whole)
    days, hours = whole // 86_400, whole // 3600 % 24
    return f"{days} d {hours} h" if hours else f"{days} d"


def clock_text(seconds: float) -> str:
    """How long a target took, cut to minutes, and never in days: two days would be another length in business hours."""
    whole = int(seconds)
    hours, minutes = whole // 3600, whole // 60 % 60
    if hours:
        return f"{hours:,} h {minutes} min" if minutes else f"{hours:,} h"
    return f"{minutes} min" if minutes else f"{whole} s"


def estimated_duration_text(seconds: float) -> str:
    """An estimate as `duration_text` shows it, but rounded to the smallest unit that is shown."""
    unit = 1 if seconds < 59.5 else 60 if seconds < _IN_DAYS_FROM - 30 else 3600
    return duration_text(round(seconds / unit) * unit)


def due_text(seconds: int) -> str:
    """How far ahead a due time is: 2520 → `in 42 min`; -180 → `3 min ago`."""
    if not seconds:
        return "now"
    return f"in {duration_text(seconds)}" if seconds > 0 else f"{duration_text(-seconds)} ago"


def hours_text(seconds: int) -> str:
    """A policy's target to the second, in hours as `clock_text`."""
    hours, minutes, rest = seconds // 3600, seconds // 60 % 60, seconds % 60
    parts = (f"{hours:,} h" if hours else "", f"{minutes} min" if minutes else "", f"{rest} s" if rest else "")
    return " ".join(part for part in parts if part) or "0 min"


def local_time(epoch_seconds: float, timezone: str) -> dt.datetime:
    """The time in the zone, with its offset; the calendar's first or last one if it lies beyond."""
    try:
        return dt.datetime.fromtimestamp(epoch_seconds, zone(timezone))
    except (OverflowError, ValueError, OSError):  # planned breaches may be dated anywhere
        return dt.datetime.max.replace(tzinfo=dt.UTC) if epoch_seconds > 0 else dt.datetime.min.replace(tzinfo=dt.UTC)


def utc_text(epoch_seconds: float) -> str:
    """`2026-11-23T14:05:00Z`."""
    return dt.datetime.fromtimestamp(int(epoch_seconds), dt.UTC).isoformat().replace("+00:00", "Z")


def zoned_text(epoch_seconds: float, timezone: str) -> str:
    """`2026-11-23 14:05 CET`."""
    return local_time(epoch_seconds, timezone).strftime("%Y-%m-%d %H:%M %Z")


def moment_text(epoch_seconds: int, day: Day) -> str:
    """`Mon 23 Nov, 14:05`, local to the account; with the year where it is another than the day's."""
    moment = local_time(epoch_seconds, day.timezone)
    year = "" if moment.year == day.date.year else f" {moment.year}"
    return f"{short_date_text(moment.date())}{year}, {moment:%H:%M}"


def weekday_text(date: dt.date) -> str:
    """`Monday`."""
    return WEEKDAYS[date.weekday()]


def date_text(date: dt.date) -> str:
    """`Monday, 23 November 2026`."""
    return f"{weekday_text(date)}, {date.day} {MONTHS[date.month - 1]} {date.year}"


def short_date_text(date: dt.date) -> str:
    """`Mon 23 Nov`."""
    return f"{weekday_text(date)[:3]} {date.day} {MONTHS[date.month - 1][:3]}"


def days_text(days: Iterable[Day]) -> str:
    """Ascending days as ranges, the last ones where there are too many: `3 to 5 Nov, 9 Nov`."""
    ranges = day_ranges(days)
    shown = ranges[-_MOST_RANGES:]
    more = len(ranges) - len(shown)
    return ("earlier ones, " if more else "") + ", ".join(_short_range_text(first, last) for first, last in shown)


def ranges_text(ranges: Sequence[tuple[Day, Day]]) -> str:
    """`2026-11-03 to 2026-11-05, 2026-11-09`."""
    return ", ".join(str(first) if first == last else f"{first} to {last}" for first, last in ranges)


def metric_name(sla_metric: str) -> str:
    """`first_reply_time` → `First reply time`."""
    words = sla_metric.replace("_", " ")
    return words[:1].upper() + words[1:]


def elapsed_name(sla_metric: str) -> str:
    """What the time is called that a target of the metric took: `Reply time`, `Resolution time`, `Time taken`."""
    if sla_metric.endswith("_reply_time"):
        return "Reply time"
    return "Resolution time" if sla_metric == "total_resolution_time" else "Time taken"


def policy_name(policy_id: str | None, policy_title: str | None) -> str:
    """Its title, else its number; `no known policy` where Zendesk never said which."""
    return policy_title or (f"policy {policy_id}" if policy_id else "no known policy")


def hours_name(business_hours: bool | None) -> str:
    """`business hours`, `calendar hours` or `hours unknown`."""
    return {True: "business hours", False: "calendar hours", None: "hours unknown"}[business_hours]


def _written_out(char: str) -> str:
    return char.encode("unicode_escape", "surrogatepass").decode()


def _short_range_text(first: Day, last: Day) -> str:
    end = f"{last.date.day} {MONTHS[last.date.month - 1][:3]}"
    if first == last:
        return end
    is_one_month = (first.date.year, first.date.month) == (last.date.year, last.date.month)
    return f"{first.date.day}{'' if is_one_month else f' {MONTHS[first.date.month - 1][:3]}'} to {end}"
