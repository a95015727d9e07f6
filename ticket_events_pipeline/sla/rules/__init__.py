"""The SLA rules: pure functions from tables to tables, without files, Dagster or the wall clock."""
