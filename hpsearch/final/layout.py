"""Where each file of an exported model stands.

models/<name>/
  model.safetensors   the weights: tensors only
  config.json         family, complete configuration, facts of the data, seeds, versions: all that `load_model` needs
  card.md, card.json  what the model is, how it was chosen, its scores and its limits; the same for programs
"""

FORMAT_VERSION = 1
WEIGHTS = "model.safetensors"
CONFIG = "config.json"
CARD = "card.json"
CARD_PAGE = "card.md"
