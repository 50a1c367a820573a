"""A LightningModule reads handwritten digits. `train` is what hpsearch searches; the callback does the rest."""

import torch
from lightning.pytorch import LightningModule, Trainer
from sklearn.datasets import load_digits
from torch import nn
from torch.utils.data import DataLoader, TensorDataset, random_split

from hpsearch.lightning import Callback


class Digits(LightningModule):
    """A network with one hidden layer."""

    def __init__(self, lr, width, dropout):
        super().__init__()
        self.lr = lr
        self.net = nn.Sequential(nn.Linear(64, width), nn.ReLU(), nn.Dropout(dropout), nn.Linear(width, 10))

    def scores(self, batch, split):
        images, digits = batch
        told = self.net(images)
        loss = nn.functional.cross_entropy(told, digits)
        self.log_dict({f"{split}_loss": loss, f"{split}_accuracy": (told.argmax(1) == digits).float().mean()})
        return loss

    def training_step(self, batch):
        return self.scores(batch, "train")

    def validation_step(self, batch):
        self.scores(batch, "val")

    def test_step(self, batch):
        self.scores(batch, "test")

    def configure_optimizers(self):
        return torch.optim.Adam(self.parameters(), self.lr)


def train(lr: float, width: int = 64, dropout: float = 0.1, epochs: int = 20, *, report):
    """Train a network on 1,197 digits, 300 for validation and 300 for the test."""
    search = Callback(report)
    found = load_digits()
    images = torch.tensor(found.data / 16, dtype=torch.float32)
    division = torch.Generator().manual_seed(report.split_seed)
    parts = random_split(TensorDataset(images, torch.tensor(found.target)), [1197, 300, 300], generator=division)
    training, validation, test = (DataLoader(part, 64, shuffle=part is parts[0]) for part in parts)
    model = Digits(lr, width, dropout)
    trainer = Trainer(
        max_epochs=epochs,
        callbacks=[search],
        default_root_dir=report.folder,
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
    )
    trainer.fit(model, training, validation, ckpt_path=search.checkpoint)
    if search.tests:
        trainer.test(model, test, verbose=False)
