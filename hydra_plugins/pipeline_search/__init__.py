"""The sweeper of searches: Optuna asks for runs batch by batch."""
