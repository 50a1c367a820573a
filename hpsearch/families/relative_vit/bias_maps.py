"""What the relative position bias of a trained network looks like, block by block."""

from torch import Tensor, nn

from hpsearch.families.relative_vit.positions import RelativePositionBias
from hpsearch.records import HeatMap, Matrix


def bias_maps(model: nn.Module) -> dict[str, HeatMap]:
    """Return a map for each block, a panel for each head: the bias as seen from the patch in the middle of the window.

    Beside them stands a table of the statistics of each block's parameter. Blocks and heads count from 1.
    """
    biases = [module for module in model.modules() if isinstance(module, RelativePositionBias)]
    if not biases:
        return {}
    maps = {f"bias-block-{number:02d}": _block_map(bias, number) for number, bias in enumerate(biases, start=1)}
    statistics = tuple(_statistics(bias.table.detach().double()) for bias in biases)
    table = HeatMap(
        title="relative position bias: its tables",
        panels={"": statistics},
        columns=("mean", "sd", "smallest", "largest"),
        rows=tuple(f"block {number}" for number in range(1, len(biases) + 1)),
    )
    return {**maps, "bias-statistics": table}


def _block_map(bias: RelativePositionBias, number: int) -> HeatMap:
    seen = bias.seen_from_the_centre().detach().cpu()
    panels = {f"head {head}": _matrix(values) for head, values in enumerate(seen, start=1)}
    title = f"relative position bias of block {number}, seen from the middle"
    return HeatMap(title, panels, x="column of the window", y="row of the window")


def _matrix(values: Tensor) -> Matrix:
    return tuple(tuple(row) for row in values.tolist())


def _statistics(table: Tensor) -> tuple[float, ...]:
    return (table.mean().item(), table.std(correction=0).item(), table.min().item(), table.max().item())
