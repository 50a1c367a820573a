"""Text that a character model makes, one character after another; and new text to score it on."""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import Field

from hpsearch.data.text import UNKNOWN, Vocabulary, read_text
from hpsearch.errors import DataError
from hpsearch.families.char_lm.network import CharTransformer, Memory
from hpsearch.families.char_lm.settings import CharLMConfig
from hpsearch.families.char_lm.task import CharLMTask, TextWindows
from hpsearch.families.prediction import Computing, Examination, Input, Prediction, Predictor, Watcher
from hpsearch.settings import Settings

_SHOWN = 5
"""Letters that a refusal names."""
START = "\n"
"""What a text without a prompt follows on: the end of a line."""


class GenerationOptions(Settings):
    """What is generated, and how it is drawn."""

    prompt: str | None = None
    """The text to go on with, in place of an input; without either it is a new line."""
    length: int = Field(default=500, ge=1)
    """Characters to generate."""
    temperature: float = Field(default=1.0, ge=0)
    """Logits are divided by it: below 1 the probable is drawn more often still; 0: always the most probable."""
    top_k: int | None = Field(default=None, ge=1)
    """Draw only among so many of the most probable characters."""
    top_p: float = Field(default=1.0, gt=0, le=1)
    """Draw only among the most probable characters that together have this probability (Holtzman et al. 2020)."""
    seed: int = Field(default=0, ge=0)
    """The same seed gives the same text; each prompt has draws of its own."""


@dataclass(frozen=True)
class GeneratedText(Prediction):
    """What follows on N prompts.

    Attributes:
        prompts: The N prompts.
        texts: The N texts that were generated, `length` characters each, without the prompts.
    """

    endings: ClassVar = {
        ".txt": "each prompt with its text, an empty line between two",
        ".jsonl": "an object with prompt and text on each line",
    }
    streamed: ClassVar = True
    prompts: tuple[str, ...]
    texts: tuple[str, ...]

    def summary(self) -> str:
        """Return all of it."""
        return "\n\n".join(prompt + text for prompt, text in zip(self.prompts, self.texts, strict=True))

    def save(self, path: Path, ending: str) -> None:
        """Write all of it."""
        if ending == ".txt":
            path.write_text(self.summary() + "\n", encoding="utf-8")
            return
        pairs = zip(self.prompts, self.texts, strict=True)
        lines = (json.dumps({"prompt": prompt, "text": text}, ensure_ascii=False) for prompt, text in pairs)
        path.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")


class TextGenerator(Predictor[str, GenerationOptions, GeneratedText]):
    """Goes on with prompts; what a model has not seen within its context it cannot know."""

    takes: ClassVar = "prompts: text files, or - for one on each line of the standard input; without any, `prompt`"
    Options = GenerationOptions
    Result = GeneratedText
    optional = True
    literal = True

    @property
    def example(self) -> str:
        """A prompt of characters that the model knows."""
        first = next((each for each in self.facts["characters"] if each.isalpha()), self.facts["characters"][-1])
        return f"{first!r}, length=100, temperature=0.8"

    def read(self, inputs: Sequence[Input], options: GenerationOptions) -> list[str]:
        """Return the prompts: the text of a file that is given as a Path; a str is a prompt itself.

        Raises:
            DataError: A file cannot be read, or the model does not know a character.
        """
        given = [*inputs, *([options.prompt] if options.prompt is not None else [])]
        prompts = []
        for each in given or [START]:
            if not isinstance(each, str | Path):
                raise DataError(f"a prompt is a str, and a file of one a Path; not {type(each).__name__}")
            text = read_text(each) if isinstance(each, Path) else each or START
            self._check(text, f"the file {each}" if isinstance(each, Path) else f"the prompt {text[:40]!r}")
            prompts.append(text)
        return prompts

    def _check(self, prompt: str, what: str) -> None:
        known = self.facts["characters"]
        if strange := sorted(set(prompt) - set(known)):
            more = f" and {len(strange) - _SHOWN} more" if len(strange) > _SHOWN else ""
            named = ", ".join(map(repr, strange[:_SHOWN]))
            raise DataError(
                f"{what} has characters that the model was not trained on: {named}{more}. It knows these "
                f"{len(known)}: {known!r}"
            )

    def predict(self, items: Iterable[str], options: GenerationOptions, computing: Computing) -> GeneratedText:
        """Return the texts, one after another; the watcher hears them character by character."""
        prompts, texts = [], []
        for number, prompt in enumerate(items):
            if number:
                computing.watcher.text("\n\n")
            draws = np.random.default_rng([options.seed, number])
            prompts.append(prompt)
            texts.append(self._continued(prompt, options, draws, computing.device, computing.watcher))
        return GeneratedText(tuple(prompts), tuple(texts))

    def _continued(
        self,
        prompt: str,
        options: GenerationOptions,
        draws: np.random.Generator,
        device: torch.device,
        watcher: Watcher,
    ) -> str:
        characters, context = self.facts["characters"], self.config.data.context
        tokens: list[int] = Vocabulary(characters).encode(prompt).tolist()
        watcher.text(prompt)
        made: list[str] = []
        memory: Memory = []
        for done in range(1, options.length + 1):
            if len(tokens) <= context and isinstance(self.model, CharTransformer):
                new = tokens[-1:] if memory else tokens
                logits = self.model.follow(torch.tensor([new], device=device), memory)[0, -1]
            else:  # the window moves on, and with it the position of each character; an ensemble has no memory
                logits = self.model(torch.tensor([tokens[-context:]], device=device))[0, -1]
            token = draw(chances(logits.double().cpu().numpy(), options), draws.random())
            tokens.append(token)
            made.append(characters[token - 1])
            watcher.text(made[-1])
            watcher.progress(done, options.length, "characters")
        return "".join(made)


def chances(logits: NDArray[np.float64], options: GenerationOptions) -> NDArray[np.float64]:
    """Return the probability with which each token is drawn, (tokens,), from logits (tokens,).

    The temperature comes first, then `top_k`, then `top_p` of what is left. Of equals at the border of `top_k` and
    `top_p` the first ones are taken. UNKNOWN, which stands for no character, is never drawn.
    """
    known = np.array(logits, dtype=np.float64)
    known[UNKNOWN] = -np.inf
    order = np.argsort(-known, kind="stable")[: options.top_k]
    if options.temperature == 0:
        order = order[:1]
    ranked = known[order]
    weights = np.exp((ranked - ranked[0]) / (options.temperature or 1.0))
    weights /= weights.sum()
    before = np.cumsum(weights) - weights
    weights[(before >= options.top_p) & (np.arange(len(weights)) > 0)] = 0
    found = np.zeros(len(known))
    found[order] = weights / weights.sum()
    return found


def draw(probabilities: NDArray[np.float64], uniform: float) -> int:
    """Return the token at which the sum of the probabilities first exceeds a number from 0 to 1."""
    sums = np.cumsum(probabilities)
    last = int(np.flatnonzero(probabilities)[-1])
    return min(int(np.searchsorted(sums, uniform * sums[-1], side="right")), last)


def examine(
    config: CharLMConfig, facts: Mapping[str, Any], paths: Sequence[Path], model: torch.nn.Module
) -> Examination:
    """Return the windows of text files, one text behind the other.

    Raises:
        DataError: A file cannot be read, or all of them together are too short.
    """
    del model
    vocabulary, context = Vocabulary(facts["characters"]), config.data.context
    text = "".join(read_text(path) for path in paths)
    if len(text) < 2:
        raise DataError("the text is too short: a character is predicted from those before it")
    data = TextWindows(vocabulary.encode(text), vocabulary.size, context=context, characters=vocabulary.characters)
    strange = sorted(set(text) - set(vocabulary.characters))
    named = ", ".join(map(repr, strange[:_SHOWN]))
    note = (
        f"{len(strange)} characters of the text were not in training ({named}); each occurrence is charged as the one "
        "unknown character, see unknown_fraction"
    )
    return Examination(CharLMTask(config, data), data, (note,) if strange else ())
