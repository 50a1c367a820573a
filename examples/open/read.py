"""A script over finished runs: tables and a figure from an experiment's folder, without torch or MLflow."""

import sys
from pathlib import Path

import hpsearch

experiment = hpsearch.open(sys.argv[1])
trials = experiment.trials
complete = trials[trials["outcome"] == "complete"]
print(
    complete.sort_values("value", ascending=False)[["number", "value", "params.lr", "params.width"]].head(5).to_string()
)
print("\nbest value of each width:", complete.groupby("params.width")["value"].max().to_dict())
print("\non fresh seeds:", experiment.replicates["test/accuracy"].describe()[["count", "mean", "std"]].to_dict())

curve = experiment.metrics(experiment.best.number)
print(f"\nthe best trial's last epochs:\n{curve.tail(3).to_string()}")
experiment.plot_learning_curves().savefig(Path("curves.png"))
