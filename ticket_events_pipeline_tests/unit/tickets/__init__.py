"""Unit tests of `tickets`."""
