"""The network: a vision transformer whose attention may be biased by the relative positions of patches.

A bias is a number for each head and each distance of two patches, added to the attention's logits: Shaw et al. 2018; in
two dimensions Liu et al. 2021 (Swin, section 3.2); with a class token Bao et al. 2022 (BEiT).
"""

import torch
from torch import Tensor, nn
from torch.nn import functional

from hpsearch.data.image_pixels import Size
from hpsearch.families.relative_vit.settings import Absolute, ModelSettings, Relative
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

    A table has the statistics of each block's parameter. Blocks and heads count from 1.
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


_INITIAL_DEVIATION = 0.02


class VisionTransformer(nn.Module):
    """Classifies images (B, C, H, W) whose values lie between 0 and 1."""

    mean: Tensor
    deviation: Tensor

    def __init__(
        self, settings: ModelSettings, *, size: Size, channels: int, classes: int, mean: Tensor, deviation: Tensor
    ) -> None:
        """`mean` and `deviation` (C,) of the training images normalise every image; they are kept with the weights."""
        super().__init__()
        self.register_buffer("mean", mean[:, None, None])
        self.register_buffer("deviation", deviation[:, None, None])
        window = settings.window_of(size)
        self.patches = nn.Conv2d(channels, settings.width, kernel_size=settings.patch, stride=settings.patch)
        has_class_token = settings.pool == "class_token"
        self.class_token = nn.Parameter(torch.empty(settings.width)) if has_class_token else None
        tokens = window[0] * window[1] + has_class_token
        absolute = settings.position if isinstance(settings.position, Absolute) else None
        self.positions = nn.Parameter(torch.empty(tokens, settings.width)) if absolute else None
        self.dropout = nn.Dropout(settings.dropout)
        self.blocks = nn.ModuleList(Block(settings, window=window) for _ in range(settings.layers))
        self.norm = nn.LayerNorm(settings.width)
        self.head = nn.Linear(settings.width, classes)
        self.apply(_initialise)
        if self.class_token is not None:
            nn.init.trunc_normal_(self.class_token, std=_INITIAL_DEVIATION)
        if self.positions is not None and absolute:
            nn.init.trunc_normal_(self.positions, std=absolute.init_std)

    def forward(self, images: Tensor) -> Tensor:
        """Return the logits (B, classes) of images (B, C, H, W)."""
        tokens: Tensor = self.patches((images - self.mean) / self.deviation).flatten(2).transpose(1, 2)
        if self.class_token is not None:
            tokens = torch.cat((self.class_token.expand(len(tokens), 1, -1), tokens), dim=1)
        if self.positions is not None:
            tokens = tokens + self.positions
        tokens = self.dropout(tokens)
        for block in self.blocks:
            tokens = block(tokens)
        pooled = tokens.mean(dim=1) if self.class_token is None else tokens[:, 0]
        logits: Tensor = self.head(self.norm(pooled))
        return logits


def _initialise(module: nn.Module) -> None:
    """Draw weights as the original does, by the sizes of what they connect; a fixed deviation fits one width only."""
    if isinstance(module, nn.Linear | nn.Conv2d):
        nn.init.xavier_uniform_(module.weight.flatten(1))
        if module.bias is not None:
            nn.init.zeros_(module.bias)


class Block(nn.Module):
    """Two branches that add to the stream: attention, then the feed-forward part; each sees the stream normalised."""

    def __init__(self, settings: ModelSettings, *, window: Size) -> None:
        super().__init__()
        width, hidden = settings.width, round(settings.width * settings.mlp_ratio)
        self.attention_norm = nn.LayerNorm(width)
        self.attention = Attention(settings, window=window)
        self.mlp_norm = nn.LayerNorm(width)
        self.mlp = nn.Sequential(
            nn.Linear(width, hidden),
            nn.GELU(),
            nn.Dropout(settings.dropout),
            nn.Linear(hidden, width),
            nn.Dropout(settings.dropout),
        )
        start = settings.layer_scale
        self.attention_scale = nn.Parameter(torch.full((width,), start)) if start else None
        self.mlp_scale = nn.Parameter(torch.full((width,), start)) if start else None

    def forward(self, stream: Tensor) -> Tensor:
        """Return the stream (B, N, width) after this block."""
        stream = stream + _scaled(self.attention(self.attention_norm(stream)), self.attention_scale)
        return stream + _scaled(self.mlp(self.mlp_norm(stream)), self.mlp_scale)


def _scaled(branch: Tensor, scale: Tensor | None) -> Tensor:
    return branch if scale is None else branch * scale


class Attention(nn.Module):
    """Self-attention with several heads: softmax(q k^T / sqrt(head width) + bias) v."""

    def __init__(self, settings: ModelSettings, *, window: Size) -> None:
        super().__init__()
        self.heads = settings.heads
        self.scale = None if settings.scale else 1.0
        self.attention_dropout = nn.Dropout(settings.attention_dropout)
        inner = settings.heads * settings.numbers_of_a_head
        self.queries_keys_values = nn.Linear(settings.width, 3 * inner)
        self.output = nn.Linear(inner, settings.width)
        self.dropout = nn.Dropout(settings.dropout)
        position, class_token = settings.position, settings.pool == "class_token"
        self.bias = (
            RelativePositionBias(position, heads=settings.heads, window=window, class_token=class_token)
            if isinstance(position, Relative)
            else None
        )

    def forward(self, stream: Tensor) -> Tensor:
        """Compute attention's contribution to the stream (B, N, width)."""
        # (B, N, 3 inner) -> three of (B, heads, N, head width)
        parts = self.queries_keys_values(stream).unflatten(-1, (3, self.heads, -1))
        queries, keys, values = parts.permute(2, 0, 3, 1, 4).unbind()
        attended = functional.scaled_dot_product_attention(
            queries,
            keys,
            values,
            attn_mask=None if self.bias is None else self.bias().to(queries.dtype),
            dropout_p=self.attention_dropout.p if self.training else 0.0,
            scale=self.scale,
        )
        added: Tensor = self.dropout(self.output(attended.transpose(1, 2).flatten(2)))
        return added
