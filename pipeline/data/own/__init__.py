"""Users' own files as examples: a table, a file of arrays, a folder of images."""
