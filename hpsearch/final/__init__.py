"""From a winner to a model that can be handed on: whose winner it is, its final training, its folder and its card."""
