"""A Hydra program as it is: a model of random features learns a noisy wave, and prints a line an epoch."""

import hydra
import numpy as np


@hydra.main(version_base=None, config_path=".", config_name="config")
def main(cfg):
    noise = np.random.default_rng(0)  # the data are the same for every seed
    x = noise.uniform(-3, 3, (900, 1))
    y = np.sin(3 * x[:, 0]) + 0.2 * noise.standard_normal(900)
    draw = np.random.default_rng(cfg.seed)
    frequencies = draw.normal(0, cfg.model.bandwidth, (1, cfg.model.features))
    phases = draw.uniform(0, 2 * np.pi, cfg.model.features)
    inputs = np.cos(x @ frequencies + phases) * np.sqrt(2 / cfg.model.features)
    weights = np.zeros(cfg.model.features)
    train, val, test = slice(0, 300), slice(300, 600), slice(600, 900)

    def loss(part):
        return np.mean((inputs[part] @ weights - y[part]) ** 2)

    for epoch in range(1, cfg.epochs + 1):
        for batch in draw.permutation(300).reshape(-1, 20):
            error = inputs[train][batch] @ weights - y[train][batch]
            weights -= cfg.optim.lr * (inputs[train][batch].T @ error / 20 + cfg.optim.decay * weights)
        print(f"epoch {epoch} val_loss={loss(val):.4f}", flush=True)
    print(f"test_loss={loss(test):.4f}")


if __name__ == "__main__":
    main()
