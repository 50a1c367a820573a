"""A study file: its arms, factors and protocol, checked before the first trial."""
