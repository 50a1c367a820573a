"""Which metric is compared, and in which direction it improves, where the user does not say."""

import re
from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise

from hpsearch.errors import HpsearchError, UnknownNameError
from hpsearch.records import FinishedRun, Goal

_CLOCK = {
    *("step", "steps", "epoch", "epochs", "iter", "iteration", "iterations", "batch", "batches", "time", "timestamp"),
    *("second", "seconds", "sec", "minutes", "hours", "runtime", "duration", "elapsed"),
}
_OF_CLOCKS = {
    *("fit", "score", "mean", "avg", "predict", "inference", "loading", "gpu", "cpu"),
    *("global", "total", "num", "n", "current", "best", "last", "this", "since", "restore", "wall", "s", "ms", "per"),
    *("train", "training", "trainer", "val", "validation", "eval", "test", "samples", "examples", "tokens", "size"),
}
"""Words that may accompany a word for time: `global_step`, `eval_samples_per_second`, `score_time`."""


def is_score(name: str) -> bool:
    """Check whether a logged number may be what a run is judged by: no learning rate, no counter of steps, no time."""
    words = re.findall(r"[a-z]+", name.lower())
    rate = "lr" in words or ("learning", "rate") in pairwise(words)
    clock = not _CLOCK.isdisjoint(words) and set(words) <= _CLOCK | _OF_CLOCKS
    return not (rate or clock)


def choose_metric(runs: Sequence[FinishedRun], main: Sequence[str], wanted: str | None) -> str:
    """Return the wanted metric; else what the origins say they are about; else the only one that there is.

    Learning rates, counters of steps and times are metrics only if they are wanted, or if there is nothing else.

    Raises:
        UnknownNameError: If no run has the metric.
        HpsearchError: If several could be meant.

    """
    known = dict.fromkeys(name for run in runs for name in run.metrics)
    if wanted is not None:
        if wanted not in known:
            raise UnknownNameError("metric", wanted, known)
        return wanted
    if len(main) == 1 and main[0] in known:
        return main[0]
    scores = [name for name in known if is_score(name)] or list(known)
    if len(scores) == 1:
        return scores[0]
    if not known:
        raise HpsearchError("no run has a metric")
    about = "the sources are about different metrics" if len(main) > 1 else "the runs have several metrics"
    raise HpsearchError(f"{about}: choose one with --metric; known: {', '.join(sorted(scores))}")


def choose_goal(
    metric: str, told: Mapping[str, Goal], wanted: Goal | None, *, disputed: Mapping[str, str] | None = None
) -> Goal:
    """Return the wanted goal, else the recorded one, else the one that the metric's name implies.

    `disputed` has the metrics about which the origins contradict each other, with who says what.

    Raises:
        HpsearchError: If the metric is disputed, or its name leaves the goal open.

    """
    if wanted is not None:
        return wanted
    if disputed and metric in disputed:
        raise HpsearchError(
            f"the sources contradict each other about '{metric}', which cannot be compared in two directions: "
            f"{disputed[metric]}. Compare those that agree, choose another --metric, or say --goal"
        )
    return told[metric] if metric in told else _direction_of(metric)


def goal_warnings(
    metric: str, goal: Goal, told: Mapping[str, Goal], *, disputed: Mapping[str, str] | None = None
) -> tuple[str, ...]:
    """Warn of a goal that was asked for and is not what the origins told."""
    if disputed and metric in disputed:
        return (f"{metric} is taken to {goal}, as asked for; the sources contradict each other: {disputed[metric]}",)
    if told.get(metric, goal) is not goal:
        return (f"{metric} is taken to {goal}, as asked for; its source says {told[metric]}",)
    return ()


_LOWER = {
    *(
        "loss",
        "losses",
        "error",
        "errors",
        "err",
        "cost",
        "regret",
        "logloss",
        "mlogloss",
        "merror",
        "crossentropy",
        "nll",
        "bce",
    ),
    *("mse", "rmse", "mae", "mape", "smape", "msle", "rmsle", "wer", "cer", "eer", "lpips"),
    *("perplexity", "ppl", "bits", "bpc", "bpd", "bpb", "bpw"),
}
_HIGHER = {
    *("accuracy", "accuracies", "acc", "precision", "recall", "sensitivity", "specificity", "efficiency", "success"),
    *("f1", "f2", "fbeta", "corr", "auc", "auroc", "auprc", "aucpr", "ap", "r2", "mcc", "mrr", "ndcg", "correlation"),
    *("dice", "iou", "miou", "jaccard", "bleu", "rouge", "rougel", "rougelsum", "meteor", "chrf", "cider"),
    *("reward", "rewards", "rew", "return", "returns", "likelihood", "psnr", "ssim", "pearson", "spearman"),
}
_WEAK = {"score", "scores", "map", "top"}
"""Words for what is to be large, where no other says what it is, as in `fid_score`, `error_map` and `top1_error`."""
_TURNING = {
    *("n", "neg", "negative", "negated", "negation", "minus", "one", "complement", "complementary", "opposite", "anti"),
    *("inverse", "inverted", "inv", "reciprocal", "reverse", "reversed", "flipped", "un", "non", "not", "no", "false"),
    *("improvement", "improvements", "improved", "gain", "gains", "lift", "drop", "dropped", "fall", "decrease"),
    *("increase", "reduction", "reduced", "degradation", "decline", "change", "delta", "diff", "difference", "gap"),
    *("ratio", "excess", "lost", "saved", "saving", "savings", "avoided", "missed", "miss", "forgetting"),
    *("std", "stdev", "stddev", "sd", "sem", "stderr", "var", "variance", "ci", "rank", "ranking", "penalty", "brier"),
    *("time", "times", "seconds", "sec", "minutes", "hours", "runtime", "duration", "elapsed", "steps", "epochs"),
    *("budget", "threshold", "tolerance", "target", "weight", "scale"),
}
"""Words that make a name mean another thing than its metric, or that turn its direction, before or behind it."""
_BEHIND = {
    *("train", "training", "val", "valid", "validation", "dev", "eval", "evaluation", "test", "testing", "holdout"),
    *("epoch", "step", "iter", "iteration", "batch", "best", "last", "final", "current", "running", "ema", "smoothed"),
    *("mean", "avg", "average", "median", "min", "max", "worst", "sum", "total", "all", "overall"),
    *("macro", "micro", "weighted", "binary", "rate", "per", "at", "k", "of", "on", "top", "percent", "pct"),
    *("metric", "metrics", "bbox", "segm", "coco", "b", "m", "ovr", "ovo", "norm", "normalized", "none"),
    *("dataloader", "idx", "vs", "iterations"),
}
"""Words that may follow a metric and leave it what it is; so may numbers, and what is behind `per`."""
_OPEN = {"per", "at", "rouge"}
"""Words that take any other behind them: `bits_per_char`, `rouge-l`."""
_COEFFICIENTS = {"coefficient", "coefficients", "coef", "coeff"}
_WITH_COEFFICIENT = {"dice", "jaccard", "correlation", "corr", "pearson", "spearman"}
"""Metrics that may be called a coefficient; that of another word is its weight."""
_PART = re.compile(r"[A-Z]+(?![a-z])\d*|[A-Z]?[a-z]+\d*|\d+")
_SIGN = re.compile(
    r"(^|[(/])\s*[-\u2212\u2013]|(?<![a-z0-9.@-])(?<!top)(1|1\.0*|100|one)\s*[-\u2212\u2013]|(^|\()\s*(1|1\.0*|100)\s*/"
)
"""`-loss`, `1-acc`, `1/loss`; `100-acc` too; in `top-1-acc` the 1 is a number of its own."""


def _direction_of(metric: str) -> Goal:
    """Return the direction that a metric's name tells.

    Raises:
        HpsearchError: If it says nothing, two things, or something that may turn the direction round.

    """
    words = list(_words(metric))
    lower = [word for word in words if word in _LOWER]
    higher = [word for word in words if word in _HIGHER]
    weak = [word for word in words if word in _WEAK and word != "top"]
    turning = [word for word in words if word in _TURNING]
    if _SIGN.search(metric.lower()):
        raise _doubtful(metric, "a minus or a fraction may turn it round")
    if turning:
        raise _doubtful(metric, f"'{turning[0]}' may turn it round")
    if lower and (higher or weak):
        raise _doubtful(metric, f"'{lower[0]}' and '{(higher or weak)[0]}' contradict each other")
    if not (lower or higher):
        return _by_weak_words(metric, words)
    unknown = _unknown_behind(words)
    if unknown:
        raise _doubtful(metric, f"'{unknown}' may make it another thing")
    return Goal.MINIMIZE if lower else Goal.MAXIMIZE


def _by_weak_words(metric: str, words: Sequence[str]) -> Goal:
    """Take `val_score` and `top1` as what is to be large; a word that is not known may be anything's name."""
    known = [word in _WEAK or word in _BEHIND or word.isdigit() for word in words]
    if not any(word in _WEAK for word in words):
        raise _doubtful(metric)
    if not all(known):
        raise _doubtful(metric, f"'{words[known.index(False)]}' is not known")
    return Goal.MAXIMIZE


def _unknown_behind(words: Sequence[str]) -> str | None:
    """Return the first word behind a metric's that is not known to leave it what it is."""
    seen = False
    for before, word in zip(["", *words], words, strict=False):
        known = word in _LOWER or word in _HIGHER or word in _WEAK
        if seen and not (known or _may_follow(word, before)):
            return word
        seen = seen or known
    return None


def _may_follow(word: str, before: str) -> bool:
    if word in _COEFFICIENTS:
        return before in _WITH_COEFFICIENT
    return word in _BEHIND or word.isdigit() or before in _OPEN


def _words(metric: str) -> Iterator[str]:
    """Yield the words of a name in lower case, numbers behind them apart: `valLoss`, `mAP50`, `top1-acc`, `F1Score`."""
    for chunk in re.findall(r"[^\W_]+", metric):
        whole = chunk.lower()
        parts = [whole] if _known(whole) else [part.lower() for part in _PART.findall(chunk)] or [whole]
        for part in parts:
            bare = part.rstrip("0123456789")
            if part in _HIGHER or part == bare or not bare:
                yield part
            else:
                yield from (bare, part.removeprefix(bare))


def _known(word: str) -> bool:
    bare = word.rstrip("0123456789")
    return any(each in words for each in (word, bare) for words in (_LOWER, _HIGHER, _WEAK))


def _doubtful(metric: str, why: str = "") -> HpsearchError:
    said = f" ({why})" if why else ""
    return HpsearchError(f"does '{metric}' improve upwards or downwards?{said} Say --goal=maximize or --goal=minimize")
