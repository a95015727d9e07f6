"""Tests: real HTTP, real Parquet, real Dagster instances."""
