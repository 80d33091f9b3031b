"""What is kept of a run: its record, the spool, the MLflow store, locks, where it came from."""
