"""Which of the variables that are set look like ours, and are read by nothing."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches

from ticket_events_pipeline.cli.env_file import known_variables

PREFIXES = ("ZENDESK_", "TICKET_EVENTS_")


def unknown_variables(names: Iterable[str]) -> dict[str, str | None]:
    """Those of `names` that look like a variable of this pipeline and are none, each with the nearest known name."""
    known = known_variables()
    unknown = sorted(name for name in names if name.startswith(PREFIXES) and name not in known)
    return {name: next(iter(get_close_matches(name, known, n=1, cutoff=0.75)), None) for name in unknown}
