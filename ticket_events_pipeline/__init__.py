"""Zendesk ticket events in daily Parquet files, and the SLA breaches in them, as Dagster assets."""
