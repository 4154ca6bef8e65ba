"""The desk: background jobs."""
