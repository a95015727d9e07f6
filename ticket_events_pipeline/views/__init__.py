"""DuckDB views over the stored files: the tables with their meaning, and the questions of the documentation."""
