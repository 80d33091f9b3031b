"""`python -m pipeline.doctor`: find what crashes and moves leave behind; with `--fix`, mend it."""
