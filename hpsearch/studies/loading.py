"""From a study file to a Study whose spaces have their families."""

from pathlib import Path

from hpsearch.errors import UnknownNameError
from hpsearch.families.loading import load_face
from hpsearch.running.loading import check_own_code, families_with_folds
from hpsearch.studies.file.reading import read_study
from hpsearch.studies.file.study import Study
from hpsearch.workers.shelf import ENGINES


def load_study(path: Path, *, quick: bool = False) -> Study:
    """Read and check a study file with its spaces. Errors: as for `load_space`."""
    study = read_study(
        path,
        lambda family, file: load_face(family, file.parent),
        quick=quick,
        with_folds=families_with_folds,
        own_code=check_own_code,
        look=True,
    )
    for arm in study.searched:
        if arm.space.search.engine not in ENGINES:
            raise UnknownNameError("engine", arm.space.search.engine, ENGINES)
    return study
