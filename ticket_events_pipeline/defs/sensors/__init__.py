"""The sensors: SLA tables for new partitions, runs whose process is dead, and alerts."""
