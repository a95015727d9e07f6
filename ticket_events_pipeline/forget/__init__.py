"""`ticket-events forget`: blanks a person's or a ticket's data in everything that a root holds."""
