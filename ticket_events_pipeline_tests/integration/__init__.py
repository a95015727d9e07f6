"""Integration tests: real Dagster instances, processes, HTTP servers and buckets together."""
