"""Copies of the stored tables in a lakehouse, as Delta or Iceberg tables that follow the stored days."""
