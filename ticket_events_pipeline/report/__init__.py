"""What people read: a day's SLA figures with what they are measured against, as Markdown, charts and one HTML page."""
