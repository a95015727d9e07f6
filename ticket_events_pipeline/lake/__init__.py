"""What is stored: Parquet partitions, their schemas and footers, and the place they lie in."""
