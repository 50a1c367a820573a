"""`hpsearch.doctor()`: what is wrong with the machine and with experiments, and mending it."""

import os
from collections.abc import Iterable
from typing import TYPE_CHECKING

from hpsearch.api.arguments import StrPath, find_experiment

if TYPE_CHECKING:
    from hpsearch.diagnosis.findings import Diagnosis


def doctor(experiments: "StrPath | Iterable[StrPath] | None" = None, *, repair: bool = False) -> "Diagnosis":
    """Examine the machine and experiments, studies, or folders of them.

    Example:
        for finding in hpsearch.doctor("experiments").findings:
            print(finding.where, finding.what, finding.cure)

    Args:
        experiments: What is examined, one or several; without any only the machine is, and the MLflow store in
            experiments/.
        repair: Mend what can be mended without inventing data. What was damaged is kept under a name that says so.

    Raises:
        ExperimentBusyError: An experiment that is to be repaired is running.
        ExperimentError: There is no experiment at a place.
    """
    from hpsearch.diagnosis.examination import examine

    given = [experiments] if isinstance(experiments, str | os.PathLike) else experiments or ()
    return examine([find_experiment(each) for each in given], repair=repair)
