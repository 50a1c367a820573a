"""Vision transformers with relative position bias (Dosovitskiy et al. 2021; Liu et al. 2021)."""
