"""What is stored: Parquet partitions, their footers, and the folder or object store that holds them."""
