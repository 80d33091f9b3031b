"""Training a group of runs, from checked configs to finished records."""
