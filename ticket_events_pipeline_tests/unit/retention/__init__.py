"""Unit tests of `ingest`."""
