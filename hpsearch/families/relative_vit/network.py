"""The network: a vision transformer of pre-norm blocks (Dosovitskiy et al. 2021), initialised as there and in Swin."""

import torch
from torch import Tensor, nn
from torch.nn import functional

from hpsearch.data.images import Size
from hpsearch.families.relative_vit.positions import RelativePositionBias
from hpsearch.families.relative_vit.settings import Absolute, ModelSettings, Relative

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
        self.attention_dropout = settings.attention_dropout
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
            dropout_p=self.attention_dropout if self.training else 0.0,
            scale=self.scale,
        )
        added: Tensor = self.dropout(self.output(attended.transpose(1, 2).flatten(2)))
        return added
