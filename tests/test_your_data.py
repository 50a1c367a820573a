"""Every example "your data in, the winner out" does what its README says, on small files as a user has them."""

import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import mne
import numpy as np
import pytest
import tifffile

from hpsearch.data.microscopy import MicroscopySettings, draw_emitters
from tests.calling import caller
from tests.own_heads import small_head, write_head, write_noise
from tests.recorded import write_table
from tests.small_winners import write_films, write_photos, write_songs
from tests.test_examples import README

EXAMPLES = Path(__file__).parents[1] / "examples"


def own_texts(folder: Path) -> None:
    write_films(folder / "train.csv", count=120, seed=0, column="text")
    write_films(folder / "test.csv", count=40, seed=1, column="text")
    (folder / "new.txt").write_text("a splendid film\nthe dull scene\n", encoding="utf-8")


def own_images(folder: Path) -> None:
    write_photos(folder / "photos", count=60, seed=0)
    write_photos(folder / "more", count=20, seed=1)
    (folder / "new").mkdir()
    for number, path in enumerate(sorted((folder / "more").glob("*/*.png"))[:5]):
        shutil.copy(path, folder / "new" / f"{number}.png")


def own_characters(folder: Path) -> None:
    write_songs(folder / "song.txt", count=150)
    write_songs(folder / "other.txt", count=60, start=50)


def own_head(folder: Path) -> None:
    write_head(folder)
    write_noise(folder)
    shutil.copy(folder / "noise.mat", folder / "other_noise.mat")
    head = small_head()
    signal = 1e-5 * np.random.default_rng(0).standard_normal((len(head.names), 200))
    raw = mne.io.RawArray(signal, mne.create_info(head.names.tolist(), 100.0, "eeg"), verbose=False)
    raw.save(folder / "spikes_raw.fif", verbose=False)


def own_movie(folder: Path) -> None:
    """A movie of 60 frames and one of 12, by the settings of a simulation of ours."""
    chosen = MicroscopySettings.model_validate(
        {"size": 32, "point_spread": {"round": {"width": 1.3}}}
        | {"emitters": {"per_frame": 3, "photons": 3000, "photons_sd": 300, "lifetime": 2, "depth": [0, 0]}}
    )
    for name, table, frames, seed in (("movie.tif", "molecules.csv", 60, 0), ("new.tif", "new.csv", 12, 1)):
        generator = np.random.default_rng(seed)
        emitters = draw_emitters(chosen.emitters, frames=frames, size=32, generator=generator)
        counts = np.empty((frames, 32, 32), np.uint16)
        for frame in range(frames):
            here = emitters.frame == frame
            columns = (getattr(emitters, each)[here] for each in ("x", "y", "z", "photons"))
            counts[frame] = chosen.camera.expose(chosen.point_spread.image(*columns, size=32) + 20, generator)
        tifffile.imwrite(folder / name, counts, imagej=True)
        nm = (100 * (emitters.x + 0.5), 100 * (emitters.y + 0.5), emitters.z)
        write_table(folder / table, zip(emitters.frame + 1, *nm, emitters.photons, strict=True))


SHORT = ("data.frames.train=40", "search.trials=1", "confirm.seeds=1", "train.epochs=1", "model.features=4")
SHORTER = {"movie": [word for each in SHORT for word in ("--set", each)]}
"""What is added to the README's `run`, so that it takes seconds."""
DATA: dict[str, tuple[Callable[[Path], None], list[str]]] = {
    "program": (lambda folder: None, ["experiments/digits/confirm"]),
    "texts": (own_texts, ["classes.csv", "reports/reviews-evaluation/evaluation.html", "models/reviews/card.md"]),
    "images": (own_images, ["classes.csv", "reports/photos-evaluation/evaluation.html", "models/photos/card.md"]),
    "characters": (own_characters, ["written.txt", "reports/song-evaluation/evaluation.html"]),
    "eeg": (own_head, ["sources.npz", "sources.png", "reports/head-evaluation/evaluation.html"]),
    "movie": (own_movie, ["found.csv", "found.png", "reports/movie-evaluation/evaluation.html"]),
}


def commands(name: str) -> list[str]:
    text = (EXAMPLES / name / "README.md").read_text(encoding="utf-8")
    [block] = re.findall(r"^```sh\n(.*?)^```", text, flags=re.MULTILINE | re.DOTALL)
    return [line for line in block.splitlines() if line]


def expanded(folder: Path, word: str) -> list[str]:
    """Return what a shell makes of a word of a command."""
    return sorted(str(path.relative_to(folder)) for path in folder.glob(word)) if "*" in word else [word]


@pytest.mark.slow
@pytest.mark.parametrize("name", DATA)
def test_the_commands_of_an_example_lead_from_the_data_to_a_winner_in_use(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / name
    shutil.copytree(EXAMPLES / name, folder)
    write, written = DATA[name]
    write(folder)
    call = caller(folder, monkeypatch, capsys)
    monkeypatch.setenv("PATH", str(Path(sys.executable).parent), prepend=os.pathsep)
    for line in commands(name):
        program, *words = [place for word in shlex.split(line) for place in expanded(folder, word)]
        if program == "python":
            ended = subprocess.run([sys.executable, *words], capture_output=True, text=True, check=True)
            assert len(ended.stdout.split()) == 300
            continue
        *words, target = [each for each in words if each != ">"] if ">" in words else [*words, ""]
        if words[0] == "run":
            words += ["--in-process", "--track", "none", *SHORTER.get(name, [])]
        said = call(*words)
        assert said.status == 0, f"{line}\n{said.err}{said.out}"
        if target:
            (folder / target).write_text(said.out, encoding="utf-8")
    for each in written:
        assert (folder / each).exists(), each


def test_every_example_has_its_test() -> None:
    assert {path.name for path in EXAMPLES.iterdir() if path.is_dir()} == {
        *DATA,
        *README,
        "function",
        "lightning",
        "trainer",
    }
