"""Single-molecule localisation by a network trained on simulated movies (DECODE; Speiser, Mueller et al. 2021)."""
