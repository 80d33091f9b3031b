"""A sweep: its grid, what of it is left to do, and Hydra's hooks around it."""
