"""How good the due times are: over a month of the simulated account, and over drawn accounts.

    python benchmarks/forecast.py [--every-hours 3] [--days 30] [--lead-days 60] [--only simulated,drawn]

The product itself makes each forecast, as of each moment (`forecast_root`); what then happened is read from the account
afterwards (`forecast_truth`). The simulated account is the sandbox's; drawn ones are `drawn_account`'s.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from drawn_account import DrawnAccount
from forecast_root import Clock, FollowedRoot
from forecast_score import BUSINESS, CALENDAR, HORIZONS, Score, Scores, no_scores, score
from forecast_truth import read_truth
from measuring import table

from ticket_events_pipeline.day import Day
from ticket_events_pipeline.sandbox.account import SimulatedAccount
from ticket_events_pipeline.sandbox.rows import Account
from ticket_events_pipeline.sandbox.server import SandboxServer

HOUR = 3600
AFTERWARDS_DAYS = 8
"""The truth is read so long after the last moment: breaches are withdrawn days later."""

SIMULATED = ("2026-03-16", "2026-10-12")
"""Where the simulated months begin: Vienna's clocks go forward in one, and back in the other, beside two holidays."""

DRAWN = ("2026-03-05", "2026-09-30")
"""Where the drawn ones begin: in both, clocks go forward in some zones and back in others."""

DRAWN_DAYS = 34


@dataclass(frozen=True)
class Run:
    """An account, and the moments at which its forecasts are looked at.

    Attributes:
        first: the first day that is fetched.
        lead_days: days that are fetched before the first moment.
        days: days with moments.
        every_seconds: from one moment to the next.
    """

    account: Account
    first: Day
    lead_days: int
    days: int
    every_seconds: int

    def scores(self) -> Scores:
        """Follow the account through its days, and count."""
        clock, begins = Clock(), self.first.plus(self.lead_days)
        ends = begins.plus(self.days)
        clock.now = ends.plus(AFTERWARDS_DAYS).start
        scores = no_scores()
        with SandboxServer(self.account, clock=clock) as server, tempfile.TemporaryDirectory() as folder:
            truth = read_truth(server.base_url, self.first.start, int(clock.now) - HOUR)
            root = FollowedRoot(Path(folder), server, clock, self.first)
            # Not on the full hour: the moments come all over the minutes of an hour.
            for number, moment in enumerate(range(begins.start, ends.start, self.every_seconds)):
                score(root.forecast(moment + number * 7 * 60 % self.every_seconds), truth, scores)
            root.close()
        return scores


def added(found: Sequence[Scores]) -> Scores:
    """The counts of several accounts together."""
    total = no_scores()
    for scores in found:
        total = {key: total[key] + scores[key] for key in total}
    return total


def figures(found: Mapping[str, Scores]) -> str:
    """The table of recall and precision."""
    head = ["account", "hours", "within", "breaches", "foretold", "recall", "could be known", "foretold", "recall"]
    head += ["announced", "unchanged", "came", "precision"]
    rows = [
        [account, hours, horizon, *_cells(scores[hours, horizon])]
        for account, scores in found.items()
        for hours in (CALENDAR, BUSINESS)
        for horizon in HORIZONS
    ]
    return table(head, rows)


def _cells(one: Score) -> list[str]:
    unchanged = one.announced - one.changed
    recall = [f"{one.breaches:,}", f"{one.foretold:,}", f"{100 * one.recall:.1f} %"]
    recall += [f"{one.knowable:,}", f"{one.known:,}", f"{100 * one.recall_of_knowable:.1f} %"]
    return [*recall, f"{one.announced:,}", f"{unchanged:,}", f"{one.came:,}", f"{100 * one.precision:.1f} %"]


def causes(found: Mapping[str, Scores], *, title: str, counts: Callable[[Score], Mapping[str, int]]) -> str:
    """The table of what was not a hit, by cause; a column for each horizon."""
    rows = []
    for account, scores in found.items():
        for hours in (CALENDAR, BUSINESS):
            by_horizon = [counts(scores[hours, horizon]) for horizon in HORIZONS]
            names = sorted({name for counted in by_horizon for name in counted}, key=lambda name: -by_horizon[-1].get(name, 0))
            rows += [[account, hours, name, *(f"{counted.get(name, 0):,}" for counted in by_horizon)] for name in names]
    return table(["account", "hours", title, *HORIZONS], rows)


def simulated(options: argparse.Namespace) -> Scores:
    """Of the sandbox's account."""
    found = []
    for first in SIMULATED[: options.months]:
        begins = Day.parse(first).plus(-options.lead_days)
        found.append(Run(SimulatedAccount(), begins, options.lead_days, options.days, options.every_hours * HOUR).scores())
        print(f"simulated account from {first}: done", file=sys.stderr, flush=True)
    return added(found)


def drawn(options: argparse.Namespace) -> Scores:
    """Of accounts that another program draws."""
    found = []
    for seed in range(options.accounts):
        first = Day.parse(DRAWN[seed % len(DRAWN)])
        account = DrawnAccount(seed, first.start, DRAWN_DAYS)
        found.append(Run(account, first, 1, DRAWN_DAYS - 3, options.every_hours * HOUR).scores())
        print(f"drawn account {seed}: done", file=sys.stderr, flush=True)
    return added(found)


def main(options: argparse.Namespace) -> None:
    """Print the tables."""
    kinds = {"simulated": simulated, "drawn": drawn}
    found = {name: kinds[name](options) for name in options.only.split(",")}
    print(figures(found))
    print()
    print(causes(found, title="not foretold", counts=lambda one: one.missed))
    print()
    print(causes(found, title="announced, unchanged, and didn't come", counts=lambda one: one.wrong))


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--rounds", type=int, help="changes nothing: the figures are the same every time")
    parser.add_argument("--every-hours", type=int, default=3, help="between two moments")
    parser.add_argument("--days", type=int, default=30, help="of each simulated month")
    parser.add_argument("--lead-days", type=int, default=60, help="that are fetched before it")
    parser.add_argument("--months", type=int, default=2, help="how many simulated months")
    parser.add_argument("--accounts", type=int, default=4, help="how many drawn accounts")
    parser.add_argument("--only", default="simulated,drawn", help="one of the two kinds of account")
    main(parser.parse_args())
