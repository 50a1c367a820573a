"""Metric and goal where the user does not say them."""

import pytest

from hpsearch.comparing.metric_choice import choose_goal, choose_metric, goal_warnings, is_score
from hpsearch.comparing.question import goal_named
from hpsearch.errors import HpsearchError, UnknownNameError
from hpsearch.records import FinishedRun, Goal, Measurement


def run(*metrics: str) -> FinishedRun:
    return FinishedRun(experiment="a", run="a/0", metrics={name: Measurement(1.0) for name in metrics})


def test_what_the_user_says_comes_first_and_must_exist() -> None:
    assert choose_metric([run("a", "b")], ("a",), "b") == "b"
    with pytest.raises(UnknownNameError, match="unknown metric 'val/los', did you mean 'val/loss'"):
        choose_metric([run("val/loss")], (), "val/los")


def test_then_what_the_runs_are_about_or_the_only_one() -> None:
    assert choose_metric([run("a", "b")], ("b",), None) == "b"
    assert choose_metric([run("only")], (), None) == "only"


@pytest.mark.parametrize(
    ("runs", "main", "says"),
    [
        ([run("a", "b")], (), "the runs have several metrics: choose one with --metric; known: a, b"),
        ([run("a", "b", "lr", "epoch")], (), "the runs have several metrics: choose one with --metric; known: a, b$"),
        ([run("a", "b")], ("a", "b"), "the sources are about different metrics"),
        ([run()], (), "no run has a metric"),
    ],
)
def test_a_doubtful_choice_is_the_users(runs: list[FinishedRun], main: tuple[str, ...], says: str) -> None:
    with pytest.raises(HpsearchError, match=says):
        choose_metric(runs, main, None)


@pytest.mark.parametrize(
    "name",
    [
        *("lr", "learning_rate", "epoch_learning_rate", "lr-AdamW/pg1", "train/lr"),
        *("epoch", "global_step", "training_iteration", "iterations_since_restore", "best_epoch", "num_batches"),
        *("seconds", "time", "time_total_s", "time_this_iter_s", "timestamp", "_runtime", "_step"),
        *("eval_runtime", "eval_samples_per_second", "train_steps_per_second", "examples_per_second"),
        *("fit_time", "score_time", "mean_fit_time", "mean_score_time", "inference_time"),
    ],
)
def test_rates_counters_and_times_are_no_scores(name: str) -> None:
    assert not is_score(name)
    assert choose_metric([run("accuracy", name)], (), None) == "accuracy"
    assert choose_metric([run("accuracy", name)], (), name) == name
    assert choose_metric([run(name)], (), None) == name


@pytest.mark.parametrize(
    "name",
    [
        "train_loss_step",
        "val_acc_epoch",
        "epoch_loss",
        "batch_loss",
        "real_time_factor",
        "word_error_rate",
        "test/loss",
    ],
)
def test_scores_of_steps_and_epochs_are_scores(name: str) -> None:
    assert is_score(name)


@pytest.mark.parametrize(
    ("metric", "goal"),
    [
        ("test/accuracy", Goal.MAXIMIZE),
        ("val_loss", Goal.MINIMIZE),
        ("eval_macro_f1", Goal.MAXIMIZE),
        ("val/bits_per_char", Goal.MINIMIZE),
        ("Loss/train", Goal.MINIMIZE),
    ],
)
def test_the_name_tells_the_goal(metric: str, goal: Goal) -> None:
    assert choose_goal(metric, {}, None) is goal


@pytest.mark.parametrize(
    "metric",
    [
        *(
            "neg_loss",
            "test_neg_mean_squared_error",
            "negMSE",
            "negative_loss",
            "neg_log_likelihood",
            "-loss",
            "val/-loss",
        ),
        *(
            "inverse_cost",
            "1-acc",
            "100-acc",
            "1.0 - f1",
            "val/1 - acc",
            "(1-auc)",
            "1/loss",
            "one_minus_auc",
            "brier",
            "brier_score",
            "fid_score",
        ),
        *("rmse_score", "perplexity_score", "wer_score", "rmseScore", "error_map", "saliency_map", "top1_error_score"),
        *(
            "accuracy_cost",
            "reward_loss",
            "f1_loss",
            "accuracy_loss",
            "accuracy_drop",
            "loss_improvement",
            "loss_ratio",
        ),
        *("std_test_score", "rank_test_score", "accuracy_std", "accuracy_gap", "time_to_accuracy", "loss_objectness"),
        *(
            "hinge",
            "kl_divergence",
            "miss_rate",
            "false_positive_rate",
            "fid",
            "objective",
            "loss_coefficient",
            "acc_stderr,none",
            "loss_weight",
            "",
        ),
    ],
)
def test_a_name_that_may_say_the_opposite_is_asked_about(metric: str) -> None:
    with pytest.raises(HpsearchError, match="Say --goal"):
        choose_goal(metric, {}, None)


@pytest.mark.parametrize(
    ("metrics", "goal"),
    [
        ("mse RMSE MSELoss valLoss val_loss_best best_val_loss train_loss_step loss_per_token bbox_loss", "minimize"),
        ("top1_error top-1-error error_rate word_error_rate regret mean_squared_error log_loss hinge_loss", "minimize"),
        ("recall_at_k precision_at_5 auc testAUC F1Score r2_score val_score top1 top-1-acc top_1_accuracy", "maximize"),
        ("val_acc/dataloader_idx_0 evaluation_accuracy_vs_iterations metrics/precision(B) acc_norm,none", "maximize"),
        ("roc_auc_ovr_weighted f1_macro BinaryF1Score dice_coefficient PearsonCorrCoef mean_fg_dice", "maximize"),
        ("validation_0-logloss eval-rmse train-rmse-mean MeanSquaredError test-mlogloss nll_loss", "minimize"),
        ("mAP50 metrics/mAP50 mIoU ndcg@10 rouge1 rouge-l bleu4 ep_rew_mean log_likelihood acc@1", "maximize"),
    ],
)
def test_the_words_of_the_field_are_known_however_they_are_joined(metrics: str, goal: str) -> None:
    assert {name: str(choose_goal(name, {}, None)) for name in metrics.split()} == dict.fromkeys(metrics.split(), goal)


def test_sources_that_contradict_each_other_are_refused_unless_the_user_decides() -> None:
    disputed = {"loss": "maximize in a.db; minimize in b.db"}
    with pytest.raises(HpsearchError, match=r"contradict each other about 'loss'.*maximize in a.db; minimize in b.db"):
        choose_goal("loss", {}, None, disputed=disputed)
    assert choose_goal("loss", {}, Goal.MINIMIZE, disputed=disputed) is Goal.MINIMIZE
    assert "contradict" in goal_warnings("loss", Goal.MINIMIZE, {}, disputed=disputed)[0]
    assert "its source says maximize" in goal_warnings("loss", Goal.MINIMIZE, {"loss": Goal.MAXIMIZE})[0]
    assert goal_warnings("loss", Goal.MINIMIZE, {"loss": Goal.MINIMIZE}) == ()


def test_the_origin_knows_better_and_the_user_best() -> None:
    assert choose_goal("odd_loss", {"odd_loss": Goal.MAXIMIZE}, None) is Goal.MAXIMIZE
    assert choose_goal("odd_loss", {"odd_loss": Goal.MAXIMIZE}, Goal.MINIMIZE) is Goal.MINIMIZE
    with pytest.raises(HpsearchError, match="Say --goal"):
        choose_goal("objective", {}, None)
    with pytest.raises(UnknownNameError, match="unknown goal 'max'"):
        goal_named("max")
