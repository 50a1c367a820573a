"""A card says what a model is for, with a call that runs as it stands, and the commands that make the model again."""

import itertools
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from hpsearch.errors import HpsearchError
from hpsearch.final.export import export_model
from hpsearch.final.opening import load_model
from hpsearch.running.loading import load_space, open_space
from hpsearch.running.runner import run
from tests.small_winners import HERE, SEARCH, TEXTS, write_films


@pytest.mark.parametrize("name", ["texts", "images", "characters"])
def test_the_call_of_a_card_runs(name: str, request: pytest.FixtureRequest, tmp_path: Path) -> None:
    export_model(request.getfixturevalue(name), tmp_path / "model")
    page = (tmp_path / "model" / "card.md").read_text(encoding="utf-8")
    (code,) = re.findall(r"```python\n(.*?)```", page, flags=re.DOTALL)
    assert "model.predict(" in code
    ended = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stderr
    assert ended.stdout.strip()
    known = {"texts": "It knows 2 classes: blame, praise.", "images": "It knows 2 classes: bright, dark."}
    assert known.get(name, "It takes prompts") in page


def test_the_commands_of_a_card_make_the_model_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The search had settings that its file does not say; run anew from the card's lines, it gives the same weights."""
    write_films(tmp_path / "films.csv", count=80, seed=0)
    search = SEARCH.format(metric="val/accuracy", goal="maximize", seeds=1)
    (tmp_path / "films.yaml").write_text(TEXTS.format(search=search))
    given = [
        "train.epochs=1",
        "model.architecture.cnn.filters=3",
        "search.trials=1",
        "train.learning_rate={log: [0.02, 0.2]}",
    ]
    run(load_space(tmp_path / "films.yaml", overrides=given), folder=tmp_path / "experiments" / "first", options=HERE)
    card = export_model(tmp_path / "experiments" / "first", tmp_path / "model").card
    searched, exported = map(shlex.split, card.commands)
    assert searched[:5] == ["hpsearch", "run", str(tmp_path / "films.yaml"), "--name", "first"]
    assert exported[:2] == ["hpsearch", "export"]

    (tmp_path / "again").mkdir()
    monkeypatch.chdir(tmp_path / "again")
    overrides = [word for before, word in itertools.pairwise(searched) if before == "--set"]
    run(load_space(Path(searched[2]), overrides=overrides), folder=tmp_path / "again" / "first", options=HERE)
    assert (
        open_space(tmp_path / "again" / "first").resolved() == open_space(tmp_path / "experiments" / "first").resolved()
    )
    export_model(tmp_path / "again" / "first", tmp_path / "again" / "model")
    weights = [(folder / "model" / "model.safetensors").read_bytes() for folder in (tmp_path, tmp_path / "again")]
    assert weights[0] == weights[1]


def test_cards_of_older_models_still_read(texts: Path, tmp_path: Path) -> None:
    import json

    export_model(texts, tmp_path / "model")
    card = json.loads((tmp_path / "model" / "card.json").read_text())
    del card["use"]
    (tmp_path / "model" / "card.json").write_text(json.dumps(card))
    assert load_model(tmp_path / "model").card["name"] == "model"
    assert export_model(texts, tmp_path / "model", again=True).card.use == {}
    with pytest.raises(HpsearchError, match="does not write over a model"):
        export_model(texts, tmp_path / "model")
