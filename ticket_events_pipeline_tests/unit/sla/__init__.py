"""Unit tests of `sla`."""
