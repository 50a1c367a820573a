"""Character language models: a small GPT that predicts the next character of a text."""
