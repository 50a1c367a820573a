"""The same search from Python, as in a notebook."""

from train import train

import hpsearch

if __name__ == "__main__":
    space = {"lr": {"log": [1e-4, 1e-1]}, "width": [8, 16, 32, 64], "depth": {"int": [1, 4]}, "epochs": 4}
    found = hpsearch.run(
        train, space=space, metric="val/accuracy", goal="maximize", trials=4, confirm=2, name="spirals", mlflow=False
    )
    print(found)
    print(found.replicates["test/accuracy"])
