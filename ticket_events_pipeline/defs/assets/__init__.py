"""The assets: raw events, SLA tables and the report."""
