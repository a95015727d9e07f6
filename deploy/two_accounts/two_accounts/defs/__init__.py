"""A folder for each account, with a `defs.yaml`."""
