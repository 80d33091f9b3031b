"""Train small neural networks over any grid of choices, track every run, compare them honestly."""
