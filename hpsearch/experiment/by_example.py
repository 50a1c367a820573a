"""The test scores of a replicate by example: `by_example.parquet` beside its output. Read without torch.

A row for each example, in the order of the test data: `example`, its number there from 0; `cluster`, if examples of one
subject or document are alike; and a column for each score, called as in the log (`test/accuracy`). The mean of a column
is the score: exactly, if the score is a mean over examples, and else, as for macro F1, but for a term of order 1 / N,
since the column then holds the pseudo-values of the jackknife.
"""

import io
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from hpsearch.experiment.files import write_atomically
from hpsearch.experiment.layout import BY_EXAMPLE
from hpsearch.extras import Extra, lack, missing
from hpsearch.records import ExampleScores

EXAMPLE, CLUSTER = "example", "cluster"


def write_by_example(folder: Path, scores: Mapping[str, Sequence[float]], clusters: Sequence[int] | None) -> None:
    """Write the scores of all examples into a replicate's folder."""
    import pyarrow as pa
    from pyarrow import parquet

    count = len(next(iter(scores.values())))
    columns = {EXAMPLE: pa.array(range(count), pa.int32())}
    if clusters is not None:
        columns[CLUSTER] = pa.array(clusters, pa.int64())
    columns |= {name: pa.array(values, pa.float64()) for name, values in scores.items()}
    content = io.BytesIO()
    parquet.write_table(pa.table(columns), content)
    write_atomically(folder / BY_EXAMPLE, content.getvalue())


def read_by_example(folder: Path) -> ExampleScores | None:
    """Return the scores by example of a replicate; None if it has none, or they cannot be read, see `unread`."""
    path = folder / BY_EXAMPLE
    if not path.is_file() or missing(Extra.PARQUET):
        return None
    from pyarrow import ArrowException, parquet

    try:
        columns = parquet.read_table(path).to_pydict()
        names = tuple(str(each) for each in columns.pop(EXAMPLE, ()))
        clusters = columns.pop(CLUSTER, None)
        values = {name: tuple(map(float, own)) for name, own in columns.items()}
    except (ArrowException, OSError, TypeError, ValueError):  # a score that is missing, or a text
        return None
    if clusters is not None and None in clusters:  # whose cluster is not known is alike to nobody that is known
        return None
    return ExampleScores(names, values, None if clusters is None else tuple(map(str, clusters)))


def unread(folders: Iterable[Path]) -> list[str]:
    """Return the sentence that scores by example of some replicates are left out, as what reads them is missing."""
    needed = lack("the scores by example are left out: reading them", Extra.PARQUET)
    return [needed] if needed and any((folder / BY_EXAMPLE).is_file() for folder in folders) else []
