"""Unit tests of `tickets.rules`."""
