"""Generated text follows the network's probabilities, as temperature, top-k and top-p change them."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from hpsearch.data.text import UNKNOWN, Vocabulary
from hpsearch.errors import DataError, HpsearchError
from hpsearch.families.char_lm.family import CharLM
from hpsearch.families.char_lm.prediction import GeneratedText, GenerationOptions, chances, draw
from hpsearch.families.prediction import Watcher
from hpsearch.final.trained_model import TrainedModel

CHARACTERS = "\n abcdefg"
LOGITS = np.log([0.5, 0.1, 0.2, 0.4, 0.3])
"""Token 0 is the unknown character: the others have these probabilities, .1 .2 .4 .3, among themselves."""


@pytest.fixture(scope="module")
def model() -> TrainedModel:
    family = CharLM()
    config = family.Config.model_validate(
        {"data": {"context": 8}, "model": {"layers": 1, "width": 8, "heads": 2}, "train": {"device": "cpu"}}
    )
    facts = {"characters": CHARACTERS}
    torch.manual_seed(0)
    network = family.model(config, facts)
    for parameter in network.parameters():
        torch.nn.init.normal_(parameter)
    return TrainedModel(network.eval(), family, config, facts, {"family": "char_lm"}, {})


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({}, [0, 0.1, 0.2, 0.4, 0.3]),
        ({"temperature": 0.5}, [0, 0.01 / 0.3, 0.04 / 0.3, 0.16 / 0.3, 0.09 / 0.3]),  # p ** (1 / T), normalised
        ({"temperature": 0}, [0, 0, 0, 1, 0]),
        ({"top_k": 2}, [0, 0, 0, 4 / 7, 3 / 7]),
        ({"top_k": 99}, [0, 0.1, 0.2, 0.4, 0.3]),
        ({"top_p": 0.71}, [0, 0, 0.2 / 0.9, 0.4 / 0.9, 0.3 / 0.9]),  # .4 and .3 are not enough
        ({"top_p": 0.69}, [0, 0, 0, 4 / 7, 3 / 7]),
        ({"top_p": 1e-9}, [0, 0, 0, 1, 0]),
        ({"top_k": 3, "top_p": 0.7}, [0, 0, 0, 4 / 7, 3 / 7]),  # of the three: .444 + .333 = .778
        ({"temperature": 0.5, "top_p": 0.5}, [0, 0, 0, 1, 0]),  # the temperature comes first: .16 / .3 = .533
    ],
)
def test_chances_are_those_of_the_closed_form(options: dict[str, float], expected: list[float]) -> None:
    found = chances(LOGITS, GenerationOptions.model_validate(options))
    np.testing.assert_allclose(found, expected, atol=1e-12)


def test_draws_have_the_chances() -> None:
    probabilities = np.array([0, 0.1, 0, 0.6, 0.3, 0])
    numbers = (np.arange(1000) + 0.5) / 1000  # evenly: the counts are exact
    counts = np.bincount([draw(probabilities, each) for each in numbers], minlength=6)
    assert counts.tolist() == [0, 100, 0, 600, 300, 0]
    assert draw(probabilities, 0.0) == 1
    assert draw(probabilities, np.nextafter(1, 0)) == 4


def by_hand(model: TrainedModel, prompt: str, length: int) -> str:
    """Always take the most probable character, one forward pass after another on the last 8 characters."""
    text = prompt
    for _ in range(length):
        tokens = torch.tensor([Vocabulary(CHARACTERS).encode(text[-8:]).tolist()])
        with torch.no_grad():
            logits = model.model(tokens)[0, -1]
        logits[UNKNOWN] = -torch.inf
        text += CHARACTERS[int(logits.argmax()) - 1]
    return text[len(prompt) :]


def test_without_temperature_the_text_is_that_of_forward_passes(model: TrainedModel) -> None:
    found = model.predict(["ab", "gfedcba gfedcba"], temperature=0, length=12)
    assert isinstance(found, GeneratedText)
    assert found.texts == (by_hand(model, "ab", 12), by_hand(model, "gfedcba gfedcba", 12))


def test_texts_of_a_seed_are_the_same_and_of_others_are_not(model: TrainedModel, tmp_path: Path) -> None:
    once = model.predict(["a", "a"], length=40)
    assert once == model.predict(["a", "a"], length=40)
    assert once.texts[0] != once.texts[1]
    assert once.texts != model.predict(["a", "a"], length=40, seed=1).texts
    assert {len(text) for text in once.texts} == {40}
    lines = once.write(tmp_path / "x.jsonl").read_text("utf-8").split("\n")
    assert [json.loads(line)["text"] for line in lines if line] == list(once.texts)
    assert once.write(tmp_path / "x.txt").read_text("utf-8") == f"a{once.texts[0]}\n\na{once.texts[1]}\n"


def test_a_watcher_hears_the_text_while_it_is_made(model: TrainedModel, tmp_path: Path) -> None:
    class Listener(Watcher):
        heard = ""

        def text(self, piece: str) -> None:
            self.heard += piece

    listener = Listener()
    (tmp_path / "prompt.txt").write_text("fed")
    found = model.predict([tmp_path / "prompt.txt", "a"], length=5, watcher=listener)
    assert listener.heard == found.summary() == f"fed{found.texts[0]}\n\na{found.texts[1]}"
    assert model.predict(length=5).prompts == ("\n",)
    assert model.predict(prompt="g", length=5).prompts == ("g",)


def test_unknown_letters_are_named_with_the_alphabet(model: TrainedModel) -> None:
    with pytest.raises(
        DataError, match=r"the prompt 'abXY' has characters .* not trained on: 'X', 'Y'. It knows these 9"
    ):
        model.predict("abXY")
    with pytest.raises(HpsearchError, match="temperature: Input should be greater than or equal to 0"):
        model.predict("a", temperature=-1)
    with pytest.raises(HpsearchError, match="unknown option 'top_n', did you mean 'top_"):
        model.predict("a", top_n=3)


def test_options_may_be_texts_as_a_command_line_has_them(model: TrainedModel) -> None:
    given = model.predictor.given({"prompt": "[1, 2]", "length": "7", "temperature": "0.5", "top_k": "null"})
    assert given == GenerationOptions(prompt="[1, 2]", length=7, temperature=0.5)


def test_a_character_is_computed_once_while_the_window_stands(model: TrainedModel) -> None:
    """After the prompt each new character alone; once the window moves on, the 8 characters in it."""
    seen: list[int] = []
    hook = model.model.embedding.register_forward_pre_hook(lambda _, given: seen.append(given[0].shape[-1]))
    try:
        found = model.predict("abc", length=8, temperature=0)
    finally:
        hook.remove()
    assert seen == [3, 1, 1, 1, 1, 1, 8, 8]
    assert found.texts == (by_hand(model, "abc", 8),)
