"""Clusters: jobs that train the pieces of a sweep, and what becomes of them."""
