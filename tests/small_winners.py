"""Finished experiments on small data of one's own, as a user has them: texts, images and one long text."""

import csv
from pathlib import Path

import numpy as np
from PIL import Image

from hpsearch.running.loading import load_space
from hpsearch.running.runner import RunOptions, run

HERE = RunOptions(in_process=True)
SEARCH = """\
objective: {{metric: {metric}, goal: {goal}, at: best}}
search: {{sampler: random, pruner: none, trials: 2, workers: 1, seed: 0}}
confirm: {{seeds: {seeds}}}
"""
TEXTS = """\
family: text_classifier
{search}
data: {{path: films.csv, text_column: review, val_fraction: 0.25, test_fraction: 0.25}}
model: {{architecture: {{cnn: {{embedding: 8, filters: 4, widths: [1, 2]}}}}}}
train: {{epochs: 3, batch_size: 8, learning_rate: {{log: [0.01, 0.1]}}, device: cpu}}
"""
IMAGES = """\
family: relative_vit
{search}
data: {{source: {{images: {{path: photos, size: [8, 8], channels: 1}}}}, val_fraction: 0.25, test_fraction: 0.25}}
model: {{width: 8, layers: 1, heads: 2, patch: 4}}
train: {{epochs: 3, batch_size: 8, learning_rate: {{log: [0.01, 0.1]}}, device: cpu}}
"""
CHARACTERS = """\
family: char_lm
{search}
data: {{path: songs.txt, context: 16}}
model: {{width: 16, layers: 1, heads: 2}}
train: {{epochs: 2, batch_size: 16, learning_rate: {{log: [0.003, 0.03]}}, device: cpu}}
"""
PRAISE, BLAME = ["good", "fine", "great", "splendid"], ["bad", "dull", "poor", "weak"]


def write_films(path: Path, *, count: int, seed: int, column: str = "review") -> Path:
    """Write labelled reviews; one word in each of them tells which they are."""
    draws = np.random.default_rng(seed)
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["label", column])
        for number in range(count):
            label = ("praise", "blame")[number % 2]
            told = draws.choice(PRAISE if label == "praise" else BLAME)
            words = [*draws.choice(["the", "a", "film", "actor", "and", "scene"], 3), told, str(draws.integers(1000))]
            writer.writerow([label, " ".join(words)])
    return path


def write_photos(folder: Path, *, count: int, seed: int) -> Path:
    """Write bright and dark photographs, a folder for each kind."""
    draws = np.random.default_rng(seed)
    for number in range(count):
        kind, low = (("bright", 150), ("dark", 20))[number % 2]
        (folder / kind).mkdir(parents=True, exist_ok=True)
        pixels = draws.integers(low, low + 60, (8, 8), dtype=np.uint8)
        Image.fromarray(pixels).save(folder / kind / f"{number:03d}.png")
    return folder


def write_songs(path: Path, *, count: int, start: int = 99) -> Path:
    """Write a song that goes on in the same way."""
    lines = (f"{start - number % start} bottles of beer on the wall\n" for number in range(count))
    path.write_text("".join(lines), encoding="utf-8")
    return path


def _search(folder: Path, name: str, space: str, metric: str, goal: str, seeds: int) -> Path:
    file = folder / f"{name}.yaml"
    file.write_text(space.format(search=SEARCH.format(metric=metric, goal=goal, seeds=seeds)), encoding="utf-8")
    run(load_space(file), folder=folder / "experiments" / name, options=HERE)
    return folder / "experiments" / name


def search_texts(folder: Path, *, seeds: int = 2) -> Path:
    """Search a classifier of reviews and return the experiment's folder."""
    write_films(folder / "films.csv", count=80, seed=0)
    return _search(folder, "films", TEXTS, "val/accuracy", "maximize", seeds)


def search_images(folder: Path, *, seeds: int = 2) -> Path:
    """Search a classifier of photographs and return the experiment's folder."""
    write_photos(folder / "photos", count=64, seed=0)
    return _search(folder, "photos", IMAGES, "val/accuracy", "maximize", seeds)


def search_characters(folder: Path, *, seeds: int = 2) -> Path:
    """Search a character model and return the experiment's folder."""
    write_songs(folder / "songs.txt", count=150)
    return _search(folder, "songs", CHARACTERS, "val/bits_per_char", "minimize", seeds)
