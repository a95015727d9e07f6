"""Tickets over time: who held a ticket, and how it was classified, when its SLA targets were breached or met."""
