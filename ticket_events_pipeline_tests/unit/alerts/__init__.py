"""Unit tests of `alerts`."""
