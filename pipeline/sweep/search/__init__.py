"""Searches: sweeps that Optuna asks for as they go."""
