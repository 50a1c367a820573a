"""Floors for a character language model: n-gram models that are fitted by counting.

All are scored on every character of a part but its first: the characters that the network is scored on. They look back
beyond the start of a window, which the network cannot. A transformer that does not beat the bigram is broken.
"""

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import partial

import numpy as np
from numpy.typing import NDArray

from hpsearch.families.char_lm.task import loss_scores
from hpsearch.training.by_example import ByExample, MethodScores

Tokens = NDArray[np.int64]
Floats = NDArray[np.float64]

LONGEST_CONTEXT = 6


def ngram_scores(
    train: Tokens, val: Tokens, scored: Tokens, *, vocabulary: int, window: int
) -> dict[str, Mapping[str, float]]:
    """Return the scores of each model, fitted on `train`, on the tokens `scored`; loss, bits per character, perplexity.

    By example they are those of the network's windows, of `window` characters each. The context length of
    `witten_bell`, up to LONGEST_CONTEXT, is the one that is best on `val`.
    """
    choices = [bits.mean() for bits in witten_bell_bits(train, val, vocabulary=vocabulary, longest=LONGEST_CONTEXT)]
    best = int(np.argmin(choices))
    *_, witten_bell = witten_bell_bits(train, scored, vocabulary=vocabulary, longest=best)
    bits = {
        "uniform": np.full(len(scored) - 1, math.log2(vocabulary)),
        "unigram": add_one_bits(train, scored, vocabulary=vocabulary, context=0),
        "bigram": add_one_bits(train, scored, vocabulary=vocabulary, context=1),
        "witten_bell": witten_bell,
    }
    means = {name: float(own.mean()) for name, own in bits.items()} | {"uniform": math.log2(vocabulary)}
    return {
        name: MethodScores(loss_scores(means[name] * math.log(2)), partial(_by_window, own, window))
        for name, own in bits.items()
    }


def _by_window(bits: Floats, window: int) -> ByExample:
    """Return the scores by window of the bits of each character, (characters,)."""
    starts = np.arange(0, len(bits), window)
    nats, characters = np.add.reduceat(bits, starts) * math.log(2), np.diff(starts, append=len(bits))

    def scores(weights: Floats) -> dict[str, float]:
        total = float(weights @ characters)
        return loss_scores(float(weights @ nats) / total) if total else {}

    return ByExample(len(starts), scores)


def add_one_bits(train: Tokens, scored: Tokens, *, vocabulary: int, context: int) -> Floats:
    """Return the bits of each scored token but the first, given `context` tokens: (count + 1) in (all + vocabulary)."""
    *_, counts = _counts(train, scored, vocabulary=vocabulary, longest=context)
    return -np.log2((counts.followed + 1) / (counts.seen + vocabulary))


def witten_bell_bits(train: Tokens, scored: Tokens, *, vocabulary: int, longest: int) -> Iterator[Floats]:
    """Yield the bits of each scored token but the first for context lengths 0, 1 ... longest (Witten and Bell 1991).

    With n occurrences of a context in training, followed by t different tokens, the chance of a token that followed c
    times is (c + t * its chance in the next shorter context) / (n + t); below the empty context it is 1 / vocabulary.
    """
    chance = np.full(len(scored) - 1, 1 / vocabulary)
    for counts in _counts(train, scored, vocabulary=vocabulary, longest=longest):
        total = counts.seen + counts.kinds
        chance = np.where(total > 0, (counts.followed + counts.kinds * chance) / np.maximum(total, 1), chance)
        yield -np.log2(chance)


@dataclass(frozen=True)
class _Counts:
    """For each scored token but the first, what training says of the context before it."""

    seen: Tokens
    """How often the context occurs."""
    kinds: Tokens
    """By how many different tokens it is followed."""
    followed: Tokens
    """How often it is followed by this token."""


def _counts(train: Tokens, scored: Tokens, *, vocabulary: int, longest: int) -> Iterator[_Counts]:
    """Yield the counts for context lengths 0, 1 ... longest.

    Contexts are numbered from 0 at each length: the numbers stay below (tokens * kinds of tokens) for any length.
    """
    tokens = np.concatenate((train, [vocabulary], scored))  # between the two a token of its own: no context spans them
    kinds_of_tokens = vocabulary + 1
    first = len(train) + 2  # of the tokens that are scored
    contexts = np.zeros(len(tokens), dtype=np.int64)
    for length in range(longest + 1):
        if length:
            # the context of the token before, and that token
            longer = np.concatenate(([-1], contexts[:-1] * kinds_of_tokens + tokens[:-1]))
            contexts = np.unique(longer, return_inverse=True)[1]
        followers = contexts * kinds_of_tokens + tokens
        pairs, pair_counts = np.unique(followers[length : len(train)], return_counts=True)
        seen = np.bincount(contexts[length : len(train)], minlength=contexts.max() + 1)
        kinds = np.bincount(pairs // kinds_of_tokens, minlength=contexts.max() + 1)
        places = np.searchsorted(pairs, followers[first:]).clip(max=len(pairs) - 1)
        followed = np.where(pairs[places] == followers[first:], pair_counts[places], 0)
        yield _Counts(seen=seen[contexts[first:]], kinds=kinds[contexts[first:]], followed=followed)
