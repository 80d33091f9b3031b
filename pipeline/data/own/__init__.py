"""Readers of the data that users bring: a table, arrays, a folder of images."""
