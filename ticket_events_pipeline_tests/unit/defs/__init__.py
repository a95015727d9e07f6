"""Unit tests of `defs`."""
