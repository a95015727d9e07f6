"""Unit tests, in the tree of the package: one module a test module."""
