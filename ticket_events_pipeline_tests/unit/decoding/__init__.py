"""Unit tests of `decoding`."""
