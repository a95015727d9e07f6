"""One pass: pages of a stream over a range of days into one file a day."""
