"""Several trainings of one shape trained as one: the same numbers as each alone, for fewer calls into torch."""
