"""The MLP on digits as a family of hpsearch, as a user writes one; model and data are those of `trainings`."""

from torch import nn

from hpsearch import Family, FamilyConfig, Goal, Settings, Task, TensorData
from tests.benchmarks.peer_programs.trainings import digits, mlp


class Model(Settings):
    """The widths of the two hidden layers."""

    first: int = 32
    second: int = 32


class Config(FamilyConfig):
    """Two widths, and how they are trained."""

    data: Settings = Settings()
    model: Model = Model()


class Digits(Task):
    """Which digit is it?"""

    def __init__(self, config):
        self.widths = config.model.model_dump()

    def build_model(self):
        return mlp(self.widths)

    def loss(self, forward, batch, scalars):
        return {"loss": nn.functional.cross_entropy(forward(batch["x"]), batch["y"])}

    def evaluate(self, forward, batches):
        loss, right, count = 0.0, 0, 0
        for batch in batches:
            logits = forward(batch["x"])
            loss += float(nn.functional.cross_entropy(logits, batch["y"], reduction="sum"))
            right += int((logits.argmax(-1) == batch["y"]).sum())
            count += len(batch["y"])
        return {"loss": loss / count, "accuracy": right / count}


class DigitsFamily(Family):
    """8 x 8 pixels, ten digits."""

    Config = Config
    metrics = {"loss": Goal.MINIMIZE, "accuracy": Goal.MAXIMIZE}  # noqa: RUF012 -- as a user would write it

    def load(self, data, split, seed):
        x, y = digits()[split]
        return TensorData(x=x, y=y)

    def task(self, config, splits):
        return Digits(config)
