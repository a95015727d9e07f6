"""What a root has forgotten: the ledger of it, and the blanking of rows that hold it."""
