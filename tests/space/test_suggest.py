import pytest

from hpsearch.space import suggest, suggested
from tests.space.toy import DATA, HEAD, random_numbers, read

TEXT = HEAD + DATA + """\
model:
  position: {choice: {learned: , rope: {base: {log: [1e3, 1e5]}}}}
  layers: {int: [1, 9], step: 2}
  width: {int: [4, 64], log: true}
  heads: {choice: [1, 2]}
  dropout: {float: [0, 0.5], step: 0.25}
  sizes: {choice: [[3, 3], [5]]}
train: {clip: {float: [0.5, 1]}, stopping: {choice: [null, {patience: 3}]}}
"""  # fmt: skip


class Asked:
    """A search library that gives the last choice and the upper bound, and remembers what it was asked."""

    def __init__(self):
        self.calls = []

    def suggest_float(self, name, low, high, *, step=None, log=False):
        self.calls.append((name, low, high, step, log))
        return high

    def suggest_int(self, name, low, high, *, step=1, log=False):
        self.calls.append((name, low, high, step, log))
        return high

    def suggest_categorical(self, name, choices):
        self.calls.append((name, tuple(choices)))
        return choices[-1]


@pytest.fixture(scope="module")
def space(tmp_path_factory):
    return read(tmp_path_factory.mktemp("space"), TEXT)


def test_every_range_is_asked_for_in_the_librarys_form(space):
    trial = Asked()
    params = suggest(space, trial)
    assert trial.calls == [
        ("model.position", ("learned", "rope")),
        ("model.position.rope.base", 1e3, 1e5, None, True),
        ("model.layers", 1, 9, 2, False),
        ("model.width", 4, 64, 1, True),
        ("model.heads", (1, 2)),
        ("model.dropout", 0.0, 0.5, 0.25, False),
        ("model.sizes", ("[3, 3]", "[5]")),
        ("train.clip", 0.5, 1.0, None, False),
        ("train.stopping", ("null", '{"patience": 3}')),
    ]
    assert params["model.sizes"] == [5]
    assert params["train.stopping"] == {"patience": 3}
    assert space.check_params(params | {"model.heads": 2, "model.width": 64}) == []


def test_settings_of_an_option_not_taken_are_not_asked_for(space):
    class First(Asked):
        def suggest_categorical(self, name, choices):
            return choices[0]

    assert "model.position.rope.base" not in suggest(space, First())


def test_values_go_back_to_the_library_in_its_form(space):
    params = space.sample(random_numbers()) | {"model.sizes": [5], "train.stopping": None}
    back = suggested(space, params)
    assert (back["model.sizes"], back["train.stopping"]) == ("[5]", "null")
    assert back["model.width"] == params["model.width"]


def test_scalars_need_no_label(tmp_path):
    text = HEAD + DATA + "train: {clip: {choice: [null, 1, 2.5]}}\n"
    trial = Asked()
    suggest(read(tmp_path, text), trial)
    assert trial.calls == [("train.clip", (None, 1, 2.5))]


def test_true_beside_one_gets_labels(tmp_path):
    text = HEAD + DATA + "model: {note: {choice: [true, 1, 0.5]}}\n"  # to a library, true == 1
    trial = Asked()
    suggest(read(tmp_path, text), trial)
    assert trial.calls == [("model.note", ("true", "1", "0.5"))]
