"""Days of a chart with given counts."""

from ticket_events_pipeline.day import Day, days_between
from ticket_events_pipeline.report.model import CHART_DAYS, ChartDay, Counted

LAST = Day.parse("2026-11-24")


def chart_of(*counts: tuple[int, int] | None, open_days: tuple[int, ...] = ()) -> tuple[ChartDay, ...]:
    """The last days with these (breaches, achieved); None is a day without a summary."""
    days = days_between(LAST.plus(1 - len(counts)), LAST)
    return tuple(
        ChartDay(day, None if figures is None else Counted(*figures, completed_breached=0), place not in open_days)
        for place, (day, figures) in enumerate(zip(days, counts, strict=True))
    )


MONTH = chart_of(*[None if n in (3, 4, 20) else (n % 5, 40 + n) for n in range(CHART_DAYS)], open_days=(29,))
