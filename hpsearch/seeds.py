"""Every seed of an experiment follows from one (design.md 6.4); nothing else in hpsearch invents randomness."""

import hashlib

from hpsearch.settings import Settings


def derive_seed(*parts: int | str) -> int:
    """Return a seed in [0, 2**31) that depends on all parts and on nothing else (SHA-256 of their text)."""
    text = "/".join(str(part) for part in parts)
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:4], "big") >> 1


class Seeds(Settings):
    """The seeds of one training, one for each source of variation (Bouthillier et al. 2021)."""

    initialisation: int
    order: int
    augmentation: int
    split: int

    @classmethod
    def for_trial(cls, experiment_seed: int, number: int, *, split_seed: int | None = None) -> "Seeds":
        """Share the data split and the order of batches among trials, so that they are paired; vary the rest.

        `split_seed` is that of the split where it is not the experiment's: a search is repeated on one split.
        """
        return cls(
            initialisation=derive_seed(experiment_seed, "trial", number),
            order=derive_seed(experiment_seed, "order"),
            augmentation=derive_seed(experiment_seed, "augmentation", number),
            split=_split(experiment_seed, split_seed),
        )

    @classmethod
    def for_race(cls, experiment_seed: int, number: int, *, split_seed: int | None = None) -> "Seeds":
        """Seed `number` of a race is the same for every configuration, so that they are paired; no replicate has it."""
        return cls(
            initialisation=derive_seed(experiment_seed, "race", number),
            order=derive_seed(experiment_seed, "race order", number),
            augmentation=derive_seed(experiment_seed, "race augmentation", number),
            split=_split(experiment_seed, split_seed),
        )

    @classmethod
    def for_replicate(cls, experiment_seed: int, replicate: int, *, split_seed: int | None = None) -> "Seeds":
        """Replicate k has the same seeds for every configuration: fresh ones, paired across configurations.

        The split stays that of the search: its test part is what the search has never seen.
        """
        return cls(
            initialisation=derive_seed(experiment_seed, "replicate", replicate),
            order=derive_seed(experiment_seed, "replicate order", replicate),
            augmentation=derive_seed(experiment_seed, "replicate augmentation", replicate),
            split=_split(experiment_seed, split_seed),
        )

    @classmethod
    def for_fold(cls, experiment_seed: int, *, repeat: int, fold: int, folds: int) -> "Seeds":
        """Vary everything: each training has fresh seeds, each repeat another validation part and other folds.

        They are the same for every configuration and every experiment of this seed: paired by repeat and fold.
        """
        place = (folds, repeat, fold)
        return cls(
            initialisation=derive_seed(experiment_seed, "fold", *place),
            order=derive_seed(experiment_seed, "fold order", *place),
            augmentation=derive_seed(experiment_seed, "fold augmentation", *place),
            split=derive_seed(experiment_seed, "fold split", repeat),
        )


def _split(experiment_seed: int, split_seed: int | None) -> int:
    return derive_seed(experiment_seed if split_seed is None else split_seed, "split")


def division_seed(experiment_seed: int, repeat: int) -> int:
    """Return the seed of the `repeat`-th division of the data into folds."""
    return derive_seed(experiment_seed, "folds", repeat)
