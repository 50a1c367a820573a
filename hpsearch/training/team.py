"""The processes that train one model together: each takes a slice of every batch, and their gradients are added up.

All of them read, order and augment the same batches, so that together they train on what one process would. The first,
rank 0, evaluates, writes and reports; the others do as it was told. The loop has a team even where it is alone.

Batch normalisation takes the statistics of each slice, as in torch's DDP, and no slice of it is a single example. The
running statistics are those of rank 0.
"""

import contextlib
import io
import json
import os
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import timedelta
from typing import Any, TypeVar

import torch
import torch.distributed as distributed
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from hpsearch.errors import HpsearchError, PeerLostError
from hpsearch.seeds import derive_seed
from hpsearch.training.devices import resolve_device
from hpsearch.training.random_state import seed_everything
from hpsearch.training.task import Batch

_PATIENCE = timedelta(days=7)
"""How long a process waits for the others: rank 0 may evaluate for hours. The engine ends it when one has died."""

Plain = TypeVar("Plain")
"""What JSON keeps as it is."""


class Team:
    """One process alone, which has nobody to share or to agree with."""

    rank = 0
    size = 1
    device: torch.device | None = None
    """Where this process computes; None leaves it to the settings."""

    @property
    def leads(self) -> bool:
        """Check whether this process evaluates, writes and reports."""
        return self.rank == 0

    def led(self, tell: Callable[[], Plain]) -> Plain:
        """Return to all processes what `tell` returns in rank 0, where alone it is called."""
        return tell()

    def led_state(self, tell: Callable[[], dict[str, Any] | None]) -> dict[str, Any] | None:
        """Return to all processes the checkpoint that `tell` returns in rank 0."""
        return tell()

    def unify(self, tensors: Iterable[Tensor]) -> None:
        """Give tensors the values that they have in rank 0."""

    def vary(self, seed: int, step: int) -> None:
        """Let each process draw its own random numbers in a step; rank 0 draws as if it were alone."""

    def slice(self, batch: Batch, least: int) -> Batch | None:  # noqa: ARG002 - of one process
        """Return this process's part of a batch, of at least `least` examples, or None if the others have all of it."""
        return batch

    def add_up(self, parameters: Sequence[nn.Parameter], parts: Mapping[str, Tensor]) -> Mapping[str, Tensor]:  # noqa: ARG002
        """Replace gradients by their sums over the processes, and return the sums of the loss's parts."""
        return parts


ALONE = Team()


class Ranks(Team):
    """One of several processes that have met.

    Raises:
        PeerLostError: if another one is gone.
    """

    def __init__(self, rank: int, size: int, device: torch.device) -> None:
        self.rank = rank
        self.size = size
        self.device = device

    def led(self, tell: Callable[[], Plain]) -> Plain:
        """Send what `tell` returns in rank 0."""
        said = tell() if self.leads else None
        text = self._sent(json.dumps(said).encode() if self.leads else b"")
        answer: Plain = said if self.leads else json.loads(text)  # type: ignore[assignment] # it said this
        return answer

    def led_state(self, tell: Callable[[], dict[str, Any] | None]) -> dict[str, Any] | None:
        """Send a checkpoint: the others may be where its file is not."""
        content = tell() if self.leads else None
        buffer = io.BytesIO()
        if content is not None:
            torch.save(content, buffer)
        sent = self._sent(buffer.getvalue())
        if self.leads or not sent:
            return content
        received: dict[str, Any] = torch.load(io.BytesIO(sent), map_location="cpu", weights_only=True)
        return received

    def _sent(self, content: bytes) -> bytes:
        """Return the bytes that rank 0 has."""
        length = torch.tensor([len(content)])
        with _peers():
            distributed.broadcast(length, src=0)
        if not int(length):
            return b""
        buffer = torch.frombuffer(bytearray(content or int(length)), dtype=torch.uint8)
        with _peers():
            distributed.broadcast(buffer, src=0)
        return buffer.numpy().tobytes()

    def unify(self, tensors: Iterable[Tensor]) -> None:
        """Send the tensors of rank 0, byte by byte, whatever their type."""
        for tensor in tensors:
            values = tensor.detach().contiguous()
            with _peers():
                distributed.broadcast(values.reshape(-1).view(torch.uint8), src=0)
            tensor.detach().copy_(values)

    def vary(self, seed: int, step: int) -> None:
        """Seed the generators of the ranks above 0 anew in each step, so that a resume needs no state of theirs."""
        if not self.leads:
            seed_everything(derive_seed(seed, self.rank, step))

    def slice(self, batch: Batch, least: int) -> Batch | None:
        """Divide a batch as evenly as whole examples can be, among fewer processes where it is small."""
        size = len(next(iter(batch.values())))
        working = max(1, min(self.size, size // least))
        if self.rank >= working:
            return None
        start, end = self.rank * size // working, (self.rank + 1) * size // working
        return {name: tensor[start:end] for name, tensor in batch.items()}

    def add_up(self, parameters: Sequence[nn.Parameter], parts: Mapping[str, Tensor]) -> Mapping[str, Tensor]:
        """Add up in one message. What no process has stays without a gradient: its optimizer leaves it as it is."""
        gradients = {f"gradient {n}": each.grad for n, each in enumerate(parameters) if each.grad is not None}
        own = {**gradients, **{f"part {name}": part for name, part in parts.items()}}
        like = {f"gradient {n}": each.detach() for n, each in enumerate(parameters)}
        nought = torch.zeros((), device=self.device)
        names = self._named(own)
        pieces = [own[name] if name in own else torch.zeros_like(like.get(name, nought)) for name in names]
        flat = torch.cat([piece.reshape(-1) for piece in pieces])
        with _peers():
            distributed.all_reduce(flat)
        sums = torch.split(flat, [piece.numel() for piece in pieces])
        found = {
            name: total.view_as(piece).to(piece.dtype) for name, total, piece in zip(names, sums, pieces, strict=True)
        }
        for number, parameter in enumerate(parameters):
            parameter.grad = found.get(f"gradient {number}")
        ordered = [*(f"part {name}" for name in parts), *names]  # as the task has them
        return {name.removeprefix("part "): found[name] for name in ordered if name.startswith("part ")}

    def _named(self, names: Iterable[str]) -> list[str]:
        """Return the union of all processes' names in one order; usually they agree, which one number tells."""
        text = json.dumps(sorted(names)).encode()
        mine = torch.tensor([len(text), zlib.crc32(text)])
        every = self._gathered(mine)
        if all(torch.equal(each, mine) for each in every):
            return sorted(names)
        padded = text.ljust(max(int(each[0]) for each in every))
        texts = self._gathered(torch.frombuffer(bytearray(padded), dtype=torch.uint8))
        return sorted({name for each in texts for name in json.loads(each.numpy().tobytes())})

    def _gathered(self, mine: Tensor) -> list[Tensor]:
        every = [torch.empty_like(mine) for _ in range(self.size)]
        with _peers():
            distributed.all_gather(every, mine)
        return every


def smallest_slice(model: nn.Module) -> int:
    """Return the fewest examples that a process can train on: batch normalisation needs two."""
    return 2 if any(isinstance(module, _BatchNorm) for module in model.modules()) else 1


@contextlib.contextmanager
def joined(device: str) -> Iterator[Team]:
    """Be one of a training's processes, which the environment's RANK, WORLD_SIZE ... describe as torchrun does.

    On CUDA each has a GPU to itself as long as there are enough of them.

    Raises:
        HpsearchError: The device is neither the CPU nor CUDA.
        PeerLostError: Another process did not come.
    """
    from accelerate.state import PartialState  # takes a second, which a training of one process need not wait

    kind = resolve_device(device).type
    if kind not in ("cpu", "cuda"):
        raise HpsearchError(f"search.resources.processes: several need the CPU or CUDA, not {kind}")
    PartialState._reset_state()  # another library may have looked while this process was alone, and would be believed
    with _peers():
        state = PartialState(cpu=kind == "cpu", backend=_backend(kind), timeout=_PATIENCE)
    try:
        yield Ranks(state.process_index, state.num_processes, state.device)
    finally:
        state.destroy_process_group()  # lets go of those that wait for this process
        PartialState._reset_state()  # the next training of this process may meet others


def _backend(kind: str) -> str:
    """Choose the backend: NCCL between GPUs unless processes share one; small messages bypass the GPU."""
    shared = int(os.environ.get("LOCAL_WORLD_SIZE", "1")) > torch.cuda.device_count()
    return "gloo" if kind == "cpu" or shared else "cuda:nccl,cpu:gloo"


@contextlib.contextmanager
def _peers() -> Iterator[None]:
    """Raise PeerLostError where a message cannot be delivered."""
    try:
        yield
    except torch.OutOfMemoryError:
        raise
    except RuntimeError as error:
        raise PeerLostError(f"another process of the training is gone ({str(error).splitlines()[0]})") from error
