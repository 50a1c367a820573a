"""The experiment folder: the truth of an experiment, readable without torch, Optuna or MLflow (design.md 5)."""
