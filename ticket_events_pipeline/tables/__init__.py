"""The stored tables: each is one value with its key, columns, types, docs and JSON paths."""
