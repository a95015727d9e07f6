"""The open targets of today with the time at which each will breach, from whatever tables are there."""
