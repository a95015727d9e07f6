"""Unit tests of `sla.rules`."""
