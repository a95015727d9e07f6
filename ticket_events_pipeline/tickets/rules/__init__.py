"""The rules of the ticket tables: pure functions from tables to tables."""
