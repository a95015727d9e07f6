"""The SLA tables: stored events into clocks, targets and summaries, one file a day each."""
