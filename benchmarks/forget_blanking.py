"""What the ledger of `ticket-events forget` costs a fetch: the CPU time of blanking pages, beside that of decoding them.

    python benchmarks/forget_blanking.py [AUDITS]     prints a Markdown table

Pages of 1,000 audits with comments, of the simulated account.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable
from itertools import islice

from ticket_events_pipeline.day import Day
from ticket_events_pipeline.decoding.decode import decode_rows
from ticket_events_pipeline.forgotten.blanking import Blanking
from ticket_events_pipeline.forgotten.ledger import ADDRESS, REQUESTER, TICKET, Ledger
from ticket_events_pipeline.sandbox.account import SimulatedAccount
from ticket_events_pipeline.sandbox.texts import FIRST_REQUESTER_ID

STREAM, ROWS_PER_PAGE, ROUNDS = "ticket_events", 1000, 3


def cpu_seconds(work: Callable[[], object]) -> float:
    """The least of some rounds."""

    def once() -> float:
        begun = time.process_time()
        work()
        return time.process_time() - begun

    return min(once() for _ in range(ROUNDS))


def main(audits: int = 100_000) -> None:
    """Print the table."""
    first, last = Day.parse("2026-03-02"), Day.parse("2026-09-02")
    account = SimulatedAccount(tickets_per_day=3000)
    sent = islice(account.rows(STREAM, first.start, now=last.start, comments=True), audits)
    rows = [json.loads(row.json) for row in sent]
    pages = [rows[start : start + ROWS_PER_PAGE] for start in range(0, len(rows), ROWS_PER_PAGE)]
    decoding = cpu_seconds(lambda: [decode_rows(STREAM, page) for page in pages])
    tables = [decode_rows(STREAM, page).table for page in pages]
    person = {REQUESTER: [FIRST_REQUESTER_ID], ADDRESS: ["somebody@example.org"]}
    tickets = {TICKET: {row["ticket_id"] for row in rows[:100]}}
    print("| the ledger holds | rows blanked | blanking, s | decoding, s | ratio |")
    print("|---|---|---|---|---|")
    for name, entries in {"a user": person, "a user and tickets": {**person, **tickets}, "tickets": tickets}.items():
        blanking = Blanking(Ledger(b"salt" * 8).with_entries(entries))
        seconds = cpu_seconds(lambda blanking=blanking: [blanking.raw(table) for table in tables])  # type: ignore[misc]
        blanked = sum(int(blanking.concerned(table).sum()) for table in tables)
        print(f"| {name} | {blanked:,} of {len(rows):,} | {seconds:.2f} | {decoding:.2f} | {seconds / decoding:.2f} |")


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
