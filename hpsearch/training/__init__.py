"""The one shared training loop. Importing this package, or `training.settings`, does not import torch."""
