"""Unit tests of `storage`."""
