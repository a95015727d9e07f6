"""Unit tests of `sandbox`."""
