"""A program as it is: argparse, a line an epoch, a checkpoint, and a mode that uses what was trained."""

import argparse
from pathlib import Path

import torch
from sklearn.datasets import load_digits
from torch import nn

parser = argparse.ArgumentParser()
parser.add_argument("--lr", type=float, default=1e-3)
parser.add_argument("--width", type=int, default=64)
parser.add_argument("--epochs", type=int, default=20)
parser.add_argument("--seed", type=int, default=0)
parser.add_argument("--out", default=".", help="folder of model.pt")
parser.add_argument("--resume", help="a checkpoint to go on from")
parser.add_argument("--predict", metavar="MODEL", help="print the digits of the test images instead of training")
args = parser.parse_args()

torch.manual_seed(args.seed)
digits = load_digits()
images, labels = torch.tensor(digits.data / 16, dtype=torch.float32), torch.tensor(digits.target)
order = torch.randperm(len(labels), generator=torch.Generator().manual_seed(0))
train, val, test = order[:1197], order[1197:1497], order[1497:]

if args.predict:
    held = torch.load(args.predict, weights_only=True)
    args.width = held["width"]
model = nn.Sequential(nn.Linear(64, args.width), nn.ReLU(), nn.Linear(args.width, 10))
optimizer = torch.optim.Adam(model.parameters(), args.lr)


def accuracy(part):
    with torch.no_grad():
        return (model(images[part]).argmax(1) == labels[part]).float().mean().item()


if args.predict:
    model.load_state_dict(held["model"])
    print(*model(images[test]).argmax(1).tolist())
    raise SystemExit

done = 0
if args.resume:
    held = torch.load(args.resume, weights_only=True)
    model.load_state_dict(held["model"])
    optimizer.load_state_dict(held["optimizer"])
    done = held["epoch"]
for epoch in range(done + 1, args.epochs + 1):
    shuffled = train[torch.randperm(len(train), generator=torch.Generator().manual_seed(1000 * args.seed + epoch))]
    for batch in shuffled.split(64):
        loss = nn.functional.cross_entropy(model(images[batch]), labels[batch])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    held = {"model": model.state_dict(), "optimizer": optimizer.state_dict(), "epoch": epoch, "width": args.width}
    torch.save(held, Path(args.out) / "model.tmp")
    Path(args.out, "model.tmp").replace(Path(args.out) / "model.pt")
    print(f"epoch {epoch} val_accuracy={accuracy(val):.4f} test_accuracy={accuracy(test):.4f}", flush=True)
