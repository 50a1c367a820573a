import pytest
import torch
from torch import nn

from hpsearch.errors import HpsearchError
from hpsearch.training.acceleration import check_precision, gradient_scaler
from hpsearch.training.loop import fit
from hpsearch.training.optimizers import build_optimizer
from hpsearch.training.settings import SGD, TrainSettings
from hpsearch.training.step import Stepper, go_back
from hpsearch.training.task import TensorData
from tests.training.toy import MONITOR, SEEDS, LineTask, NetTask, Recorder, line_splits

CPU = torch.device("cpu")


def make_stepper(task=None, model=None, *, precision="fp32", clip_norm=None, optimizer="sgd"):
    task = task or LineTask()
    torch.manual_seed(0)
    model = model or task.build_model()
    chosen = build_optimizer(task, model, TrainSettings(optimizer=optimizer, learning_rate=0.1))
    scaler = gradient_scaler(CPU, precision)
    return Stepper(task, model, chosen, scaler, device=CPU, precision=precision, clip_norm=clip_norm)


def data(examples=10):
    torch.manual_seed(1)
    return TensorData(x=torch.randn(examples, 1), y=torch.randn(examples, 1))


def gradients(stepper):
    return [parameter.grad.clone() for parameter in stepper.model.parameters()]


@pytest.mark.parametrize("cuts", [(4, 4, 2), (5, 5), (1, 9), (10,)])
def test_gradients_and_loss_of_a_window_are_those_of_one_batch(cuts):
    small, large = make_stepper(), make_stepper()
    whole = large.backward([data().batch(range(10))])
    batches = [data().batch(chunk.tolist()) for chunk in torch.arange(10).split(list(cuts))]
    window = small.backward(batches)
    torch.testing.assert_close(gradients(small), gradients(large))
    torch.testing.assert_close(window.parts, whole.parts)
    assert window.count == whole.count == 10


def test_items_weigh_not_batches():
    class Tokens(LineTask):
        """The loss is a mean over the unmasked items only."""

        def loss(self, forward, batch, scalars):
            error = (forward(batch["x"]) - batch["y"]).square() * batch["mask"]
            return {"loss": error.sum() / batch["mask"].sum()}

        def count(self, batch):
            return int(batch["mask"].sum())

    mask = torch.tensor([1, 1, 1, 1, 0, 0, 0, 1.0]).unsqueeze(1)
    examples = TensorData(**data(8).tensors, mask=mask)
    small, large = make_stepper(Tokens()), make_stepper(Tokens())
    large.backward([examples.batch(range(8))])
    window = small.backward([examples.batch(range(4)), examples.batch(range(4, 8))])
    torch.testing.assert_close(gradients(small), gradients(large))
    assert window.count == 5


@pytest.mark.parametrize("examples", [24, 22, 27])
@pytest.mark.parametrize("optimizer", ["sgd", "adamw"])
def test_a_whole_training_is_that_of_the_large_batch(examples, optimizer, tmp_path):
    def train(folder, **sizes):
        settings = TrainSettings(epochs=3, optimizer=optimizer, learning_rate=0.01, clip_norm=0.5, **sizes)
        return fit(
            NetTask(dropout=0.0, norm=False),
            line_splits(examples),
            settings,
            seeds=SEEDS,
            monitor=MONITOR,
            report=Recorder(),
            folder=tmp_path / folder,
            device="cpu",
        )

    small, large = train("small", batch_size=4, accumulate=3), train("large", batch_size=12)
    for one, other in zip(small.evaluations, large.evaluations, strict=True):
        for name in ("train/loss", "train/size", "val/loss", "gradient_norm", "learning_rate"):
            assert one.metrics[name] == pytest.approx(other.metrics[name], rel=1e-4), name
    weights = [torch.load(tmp_path / name / "best.pt")["model"] for name in ("small", "large")]
    torch.testing.assert_close(weights[0], weights[1], rtol=1e-4, atol=1e-5)


def test_clipping_scales_to_the_norm_and_reports_the_norm_before():
    stepper = make_stepper(clip_norm=0.01)
    before = [parameter.detach().clone() for parameter in stepper.model.parameters()]
    stepper.backward([data().batch(range(10))])
    expected = torch.cat([gradient.flatten() for gradient in gradients(stepper)]).norm()
    norm = stepper.gradient_norm()
    stepper.update(norm)
    torch.testing.assert_close(norm, expected)
    moved = [old - new.detach() for old, new in zip(before, stepper.model.parameters(), strict=True)]
    assert float(torch.cat([change.flatten() for change in moved]).norm()) == pytest.approx(0.1 * 0.01, rel=1e-3)
    assert all(parameter.grad is None for parameter in stepper.model.parameters())


def test_a_small_gradient_is_not_clipped():
    clipped, free = make_stepper(clip_norm=1e6), make_stepper()
    for stepper in (clipped, free):
        stepper.backward([data().batch(range(10))])
        stepper.update(stepper.gradient_norm())
    torch.testing.assert_close(list(clipped.model.parameters()), list(free.model.parameters()))


@pytest.mark.parametrize("optimizer", ["sgd", "adam", "adamw"])
def test_fp16_norm_is_unscaled_and_an_overflow_leaves_the_step_out(optimizer):
    stepper = make_stepper(precision="fp16", optimizer=optimizer, clip_norm=1.0)
    plain = make_stepper(optimizer=optimizer, clip_norm=1.0)
    window = [data().batch(range(10))]
    before = [parameter.detach().clone() for parameter in stepper.model.parameters()]
    stepper.scaler.load_state_dict({**stepper.scaler.state_dict(), "scale": 2.0**40})
    junk = [torch.full((1, 1), 7e22) for _ in range(50)]  # what uninitialised memory would then hold
    del junk
    stepper.backward(window)
    norm = stepper.gradient_norm()
    assert not torch.isfinite(norm)
    stepper.update(norm)
    assert [torch.equal(old, new) for old, new in zip(before, stepper.model.parameters(), strict=True)] == [True, True]
    assert stepper.scaler.get_scale() == 2.0**39
    stepper.scaler.load_state_dict({**stepper.scaler.state_dict(), "scale": 128.0})
    norms = []
    for chosen in (stepper, plain):
        chosen.backward(window)
        norms.append(chosen.gradient_norm())
        chosen.update(norms[-1])
    assert float(norms[0]) == pytest.approx(float(norms[1]), rel=0.01)
    torch.testing.assert_close(list(stepper.model.parameters()), list(plain.model.parameters()), rtol=0.01, atol=0.01)


@pytest.mark.parametrize(("precision", "dtype"), [("bf16", torch.bfloat16), ("fp16", torch.float16)])
def test_the_forward_pass_runs_in_the_precision_and_the_weights_stay_fp32(precision, dtype):
    class Watched(nn.Linear):
        seen = None

        def forward(self, inputs):
            output = super().forward(inputs)
            self.seen = output.dtype
            return output

    stepper = make_stepper(model=Watched(1, 1), precision=precision)
    stepper.backward([data().batch(range(10))])
    assert stepper.model.seen is dtype
    assert {gradient.dtype for gradient in gradients(stepper)} == {torch.float32}


def test_fp16_where_there_is_no_scaler_is_refused():
    with pytest.raises(HpsearchError, match="use bf16 or fp32"):
        check_precision(torch.device("mps"), "fp16")


def test_a_task_without_a_loss_part_is_told_so():
    class Nameless(LineTask):
        def loss(self, forward, batch, scalars):
            return {"error": forward(batch["x"]).mean()}

    with pytest.raises(HpsearchError, match="no part named 'loss', only: error"):
        make_stepper(Nameless()).backward([data().batch(range(4))])


def test_momentum_of_zero_is_plain_descent():
    task, model = LineTask(), nn.Linear(1, 1)
    chosen = build_optimizer(task, model, TrainSettings(optimizer=SGD(momentum=0.0), learning_rate=0.1))
    stepper = Stepper(task, model, chosen, None, device=CPU, precision="fp32", clip_norm=None)
    before = [parameter.detach().clone() for parameter in model.parameters()]
    stepper.backward([data().batch(range(10))])
    expected = [old - 0.1 * gradient for old, gradient in zip(before, gradients(stepper), strict=True)]
    stepper.update(stepper.gradient_norm())
    torch.testing.assert_close([parameter.detach() for parameter in model.parameters()], expected)


@pytest.mark.parametrize("double", [False, True])
def test_the_norm_is_torchs_own(double):
    model = nn.Sequential(nn.Linear(3, 40), nn.ReLU(), nn.Linear(40, 40), nn.Linear(40, 1))
    stepper = make_stepper(model=model)
    stepper.backward([{"x": torch.randn(6, 3), "y": torch.randn(6, 1)}])
    if double:
        model[3].double()
        model[3].weight.grad, stepper = torch.ones(1, 40).double(), make_stepper(model=model)
    model[2].bias.grad = None
    expected = torch.nn.utils.get_total_norm([each.grad for each in model.parameters() if each.grad is not None])
    assert torch.equal(stepper.gradient_norm(), expected)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16])
def test_going_back_is_torchs_backward(dtype):
    """Twice, so that gradients add up, and through a loss that is itself a parameter's neighbour."""

    def gradients_by(backward):
        torch.manual_seed(0)
        model = nn.Sequential(nn.Linear(3, 8), nn.Tanh(), nn.Linear(8, 1)).to(dtype)
        bias = nn.Parameter(torch.zeros((), dtype=dtype))
        for _ in range(2):
            loss = model(torch.linspace(-1, 1, 12, dtype=dtype).reshape(4, 3)).square().mean() + bias
            backward(loss)
            backward(bias * 2 + bias)
        return [parameter.grad for parameter in (*model.parameters(), bias)]

    pairs = zip(gradients_by(torch.Tensor.backward), gradients_by(go_back), strict=True)
    assert all(torch.equal(expected, found) for expected, found in pairs)


@pytest.mark.parametrize("loss", [torch.ones(2, requires_grad=True) * 2, torch.ones(())])
def test_going_back_from_what_is_no_loss_is_torchs_error(loss):
    with pytest.raises(RuntimeError) as expected:
        loss.backward()
    with pytest.raises(RuntimeError) as found:
        go_back(loss)
    assert str(found.value) == str(expected.value)
