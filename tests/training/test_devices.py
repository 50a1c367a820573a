import pytest
import torch

from hpsearch.errors import HpsearchError
from hpsearch.training.devices import available_devices, is_out_of_memory, move, resolve_device


def test_the_processor_is_always_there():
    assert available_devices()[0] == "cpu"
    assert resolve_device("cpu") == torch.device("cpu")
    assert resolve_device(torch.device("cpu")) == torch.device("cpu")
    assert resolve_device("auto").type in ("cpu", "cuda", "mps")


@pytest.mark.parametrize("name", ["cuda:99", "gpu", "meta"])
def test_what_is_not_there_is_refused_with_what_is(name):
    with pytest.raises(HpsearchError, match=f"'{name}'.*this machine has: cpu"):
        resolve_device(name)


def test_a_batch_for_the_processor_is_not_copied():
    batch = {"x": torch.zeros(2)}
    assert move(batch, torch.device("cpu")) is batch


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB"), True),
        (MemoryError(), True),
        (RuntimeError("MPS backend out of memory"), True),
        (RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling cublasCreate"), True),
        (RuntimeError("mat1 and mat2 shapes cannot be multiplied"), False),
        (ValueError("out of memory"), False),
    ],
)
def test_out_of_memory_is_recognised(error, expected):
    assert is_out_of_memory(error) is expected


def test_torchs_own_refusal_on_the_processor_is_recognised():
    with pytest.raises(RuntimeError) as caught:
        torch.empty(10**15)
    assert is_out_of_memory(caught.value)
