"""What to try next: samplers, pruners, populations, and what a search says of its parameters."""
