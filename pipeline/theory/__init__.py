"""The theory of Problems 1 to 3: every claim computed, by the code that trains where it can be."""
