"""What a trained network says of files: images, rows of a table, arrays of numbers."""
