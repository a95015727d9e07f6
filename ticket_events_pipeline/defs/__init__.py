"""The Dagster shell: assets, jobs, schedules and the sensor around a core that doesn't know Dagster."""
