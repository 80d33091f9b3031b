"""A trained network by itself: its weights in a file, what it takes, what it answers."""
