"""A picture of the sources: the cortex from three sides at one moment, and the strongest regions over time."""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

_VIEWS = (("from the right", 1, 2), ("from behind", 0, 2), ("from above", 0, 1))
"""Which coordinates are shown to the right and upwards, in mm; heads in MNE's and FreeSurfer's coordinates stand so."""
_TRACES = 5
_DPI = 150


def draw_sources(
    path: Path,
    activity: NDArray[np.float32],
    centres: NDArray[np.float64],
    times: NDArray[np.float64],
    peak: tuple[int, int],
) -> None:
    """Draw activity (T, R) of regions at centres (R, 3) in mm; `peak` is the sample and region to show."""
    from matplotlib.figure import Figure

    sample, _ = peak
    now = activity[sample]
    order = np.argsort(np.abs(now))
    largest = float(np.abs(activity).max()) or 1.0
    figure = Figure(figsize=(10, 6), layout="constrained")
    grid = figure.add_gridspec(2, len(_VIEWS), height_ratios=(2, 1))
    for column, (title, across, up) in enumerate(_VIEWS):
        axes = figure.add_subplot(grid[0, column])
        dots = axes.scatter(
            centres[order, across],
            centres[order, up],
            c=now[order],
            s=12 + 40 * np.abs(now[order]) / largest,
            cmap="RdBu_r",
            vmin=-largest,
            vmax=largest,
            edgecolors="0.6",
            linewidths=0.2,
        )
        axes.set(title=title, xlabel=f"{'xyz'[across]} (mm)", ylabel=f"{'xyz'[up]} (mm)", aspect="equal")
    figure.colorbar(dots, ax=figure.axes, label=f"activity at {times[sample]:.3f} s")
    traces = figure.add_subplot(grid[1, :])
    for region in order[: -_TRACES - 1 : -1]:
        traces.plot(times, activity[:, region], linewidth=1, label=f"region {region}")
    traces.axvline(times[sample], color="0.5", linewidth=0.8)
    traces.set(xlabel="time (s)", ylabel="activity", xlim=(times[0], times[-1]))
    traces.legend(fontsize="x-small", loc="upper right")
    figure.savefig(path, dpi=_DPI)
