"""Relative position bias: a number for each head and each distance of two patches, added to the attention's logits.

Shaw et al. 2018; in two dimensions Liu et al. 2021 (Swin, section 3.2); with a class token Bao et al. 2022 (BEiT).
"""

import torch
from torch import Tensor, nn

from hpsearch.families.relative_vit.settings import Relative
from hpsearch.records import HeatMap, Matrix

_CLASS_ROWS = 3
"""The rows of the table behind those of the distances: from the class token, to it, and to itself."""


def index_2d(height: int, width: int) -> Tensor:
    """Return the row of the table (N, N) for patches i and j of a window, N = height * width, row after row.

    With dy = y_i - y_j and dx = x_i - x_j it is (dy + height - 1) * (2 width - 1) + dx + width - 1.
    """
    places = torch.arange(height * width)
    y, x = places // width, places % width
    rows = y[:, None] - y + height - 1
    columns = x[:, None] - x + width - 1
    return rows * (2 * width - 1) + columns


def index_1d(length: int) -> Tensor:
    """Return the row of the table (length, length) for tokens i and j of a sequence: i - j + length - 1."""
    places = torch.arange(length)
    return places[:, None] - places + length - 1


def with_class_token(index: Tensor, *, rows: int) -> Tensor:
    """Return the index with a class token before the patches; its three rows follow the `rows` of the table."""
    padded = torch.nn.functional.pad(index, (1, 0, 1, 0), value=rows + 1)
    padded[0] = rows
    padded[0, 0] = rows + 2
    return padded


class RelativePositionBias(nn.Module):
    """The table (rows, heads), its index (N, N) and the bias that they make."""

    index: Tensor

    def __init__(self, settings: Relative, *, heads: int, window: tuple[int, int], class_token: bool = False) -> None:
        super().__init__()
        self.window = window
        self.class_token = class_token
        height, width = window
        if settings.type == "2d":
            rows, index = (2 * height - 1) * (2 * width - 1), index_2d(height, width)
        else:
            rows, index = 2 * height * width - 1, index_1d(height * width)
        if class_token:
            rows, index = rows + _CLASS_ROWS, with_class_token(index, rows=rows)
        self.table = nn.Parameter(torch.empty(rows, heads), requires_grad=settings.learnable)
        nn.init.trunc_normal_(self.table, std=settings.init_std)
        self.register_buffer("index", index, persistent=False)  # the window says it: no place in checkpoints

    def forward(self) -> Tensor:
        """Return the bias (heads, N, N); rows are the patches that look, columns those that are looked at."""
        return self.table[self.index].permute(2, 0, 1)

    def seen_from_the_centre(self) -> Tensor:
        """Return the bias (heads, height, width) that the patch in the middle of the window adds to all patches."""
        height, width = self.window
        first = int(self.class_token)
        centre = height // 2 * width + width // 2
        bias: Tensor = self()
        return bias[:, first + centre, first:].reshape(-1, height, width)


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
