"""Unit tests of `zendesk`."""
