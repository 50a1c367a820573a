"""How large a fold's test part is beside what is learned from: the larger, the less folds are worth."""

from hpsearch.errors import HpsearchError
from hpsearch.space import Space
from hpsearch.studies.file.study import Study


def overlap_of(study: Study) -> tuple[float, bool]:
    """Return n_test / n_train of a study's folds, and whether it is known, not only a bound from below; 0 for seeds.

    The test that decides takes it from the noted sizes, in which the validation part is no part of training: of all
    examples 1 / folds are for the test, and `data.val_fraction` for validation. Of arms that differ, the largest.
    Errors: HpsearchError when nothing is left for training.
    """
    folds = study.settings.replicates.folds
    if folds is None:
        return 0.0, True
    fractions = [_val_fraction(arm.space) for arm in study.searched]
    test, val = 1 / folds, max(fraction or 0.0 for fraction in fractions)
    if test + val >= 1:
        raise HpsearchError(f"{folds} folds and data.val_fraction {val:g} leave nothing for training")
    return test / (1 - test - val), None not in fractions


def _val_fraction(space: Space) -> float | None:
    """Return the part of all examples that validation takes from training, or None where it is not known."""
    if any(parameter.path == "data.val_fraction" for parameter in space.parameters):
        return None
    data = getattr(space.config(space.example), "data", None)
    if getattr(data, "val_path", None):
        return 0.0  # it has a file of its own
    fraction = getattr(data, "val_fraction", None)
    return fraction if isinstance(fraction, float) else None
