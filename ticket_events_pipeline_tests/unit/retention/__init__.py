"""Unit tests of `retention`."""
