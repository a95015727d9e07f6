"""SLA days in order: stored events into clocks, targets and summaries, one file a day each."""
