"""The sweeper of this project's grids."""
