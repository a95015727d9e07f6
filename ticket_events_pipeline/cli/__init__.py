"""The command `ticket-events`: try the pipeline, check a deployment, serve the sandbox."""
