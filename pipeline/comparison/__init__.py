"""From runs to one honest answer: which choice is better, by how much, and how sure that is."""
