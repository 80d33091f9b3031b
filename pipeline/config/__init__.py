"""The configuration: its schema, its options, how Hydra's configs become checked ones."""
