"""What is usual on a weekday, and whether a day's figure is more or fewer than that.

Half of all differences are chance: a page that marks each of them teaches its readers to ignore the marks. So a figure is news
only if no usual day had one like it, and if it is also further from the median than two things explain: chance, by which a
count varies even where nothing changes, and the days' own differences. The first rules in a small account, the second in a
large one, where no day is within a square root of the next.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence

from ticket_events_pipeline.quality.traffic import DEVIATION_OF_MAD
from ticket_events_pipeline.report.model import (
    CHANCE_DEVIATIONS,
    MIN_DECIDED,
    MIN_USUAL_DAYS,
    Change,
    Counted,
    Spread,
    Usual,
)


def usual_of(days: Sequence[Counted], *, with_rate: bool = True) -> Usual | None:
    """What is usual, from the figures of complete days; None with fewer than `MIN_USUAL_DAYS` of them."""
    if len(days) < MIN_USUAL_DAYS:
        return None
    rates = [day.achievement_rate for day in days if day.achievement_rate is not None] if with_rate else []
    return Usual(
        days=len(days),
        breaches=_spread([day.breaches for day in days]),
        achieved=_spread([day.achieved for day in days]),
        achievement_rate=_spread(rates) if len(rates) >= MIN_USUAL_DAYS else None,
    )


def _spread(figures: Sequence[float]) -> Spread:
    median = statistics.median(figures)
    deviation = DEVIATION_OF_MAD * statistics.median(abs(figure - median) for figure in figures)
    return Spread(median, min(figures), max(figures), deviation)


def breaches_change(breaches: int, usual: Usual | None, *, is_complete: bool) -> Change:
    """The breaches of a day against the usual ones; a day that is still open can only have more already."""
    if usual is None:
        return Change.UNKNOWN
    # A count varies by about its square root.
    found = _change(breaches, usual.breaches, chance=math.sqrt(max(usual.breaches.median, 1)))
    return found if is_complete or found is Change.MORE else Change.UNKNOWN


def rate_change(day: Counted, usual: Usual | None, *, is_complete: bool) -> Change:
    """The achievement rate of a day against the usual one; unknown for a day that is open, or has hardly any decided target."""
    decided = day.achieved + day.breaches
    if usual is None or usual.achievement_rate is None or day.achievement_rate is None:
        return Change.UNKNOWN
    if decided < MIN_DECIDED or not is_complete:
        return Change.UNKNOWN
    # Of a usual rate of 100 %, too, one target may be missed by chance.
    share = min(max(usual.achievement_rate.median, 1 / decided), 1 - 1 / decided)
    return _change(day.achievement_rate, usual.achievement_rate, chance=math.sqrt(share * (1 - share) / decided))


def _change(figure: float, usual: Spread, *, chance: float) -> Change:
    """`chance` is the standard deviation of the figure where nothing has changed."""
    explained = CHANCE_DEVIATIONS * math.hypot(chance, usual.deviation)
    if usual.least <= figure <= usual.greatest or abs(figure - usual.median) <= explained:
        return Change.USUAL
    return Change.MORE if figure > usual.greatest else Change.FEWER
