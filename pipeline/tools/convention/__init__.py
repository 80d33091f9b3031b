"""`python -m pipeline.convention`: settings of other libraries as overrides of ours, and back."""
