"""One mean loss in the three units in which language models are reported. Free of torch."""

import math


def loss_scores(nats: float) -> dict[str, float]:
    """Return a mean loss in nats a character as loss, bits per character and perplexity (infinite above e^709)."""
    try:
        perplexity = math.exp(nats)
    except OverflowError:
        perplexity = math.inf
    return {"loss": nats, "bits_per_char": nats / math.log(2), "perplexity": perplexity}
