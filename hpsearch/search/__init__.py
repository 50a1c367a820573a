"""What to try next: samplers, pruners, populations, and what a search says of its parameters."""

import warnings

# Optuna imports tqdm, which warns in every notebook without ipywidgets of bars that nothing here draws
warnings.filterwarnings("ignore", message="IProgress not found")
