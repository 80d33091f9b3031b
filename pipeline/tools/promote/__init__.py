"""A run becomes a registered model that MLflow serves."""
