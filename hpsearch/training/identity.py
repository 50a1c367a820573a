"""What makes a checkpoint a training's own: the same settings, seeds, objective and number of examples."""

from collections.abc import Mapping
from typing import Any

from hpsearch.errors import HpsearchError
from hpsearch.reads import uncounted
from hpsearch.records import Monitor
from hpsearch.seeds import Seeds
from hpsearch.settings import fixed_settings
from hpsearch.training.settings import EXECUTION, TrainSettings


def identity_of(settings: TrainSettings, seeds: Seeds, monitor: Monitor, *, examples: int) -> dict[str, Any]:
    """Return plain values without those settings that a training may change when it goes on."""
    return {
        **_plain(settings),
        "seeds": seeds.model_dump(mode="json"),
        "monitor": [monitor.metric, monitor.goal.value],
        "examples": examples,
    }


def check_identity(
    now: Mapping[str, Any], then: Mapping[str, Any], *, settings: TrainSettings, before: TrainSettings | None
) -> None:
    """Make sure that a checkpoint is the training's: of these settings, or of those `before`.

    Errors: HpsearchError when it is not, or when a fixed setting has changed since `before`.
    """
    if before is None or not _changed_from(before, settings, now, then):
        _check_equal(now, then)


def _changed_from(
    before: TrainSettings, now: TrainSettings, identity: Mapping[str, Any], then: Mapping[str, Any]
) -> bool:
    if {**identity, **_plain(before)} != then:
        return False
    changed = [name for name in sorted(fixed_settings(type(now))) if getattr(before, name) != getattr(now, name)]
    changed += ["optimizer"] if before.optimizer.kind != now.optimizer.kind else []
    if changed:
        raise HpsearchError(f"cannot change while a training runs: {', '.join(changed)}")
    return True


def _plain(settings: TrainSettings) -> dict[str, Any]:
    with uncounted():  # to write a setting down is not to use it
        return settings.model_dump(mode="json", exclude=set(EXECUTION))


def _check_equal(now: Mapping[str, Any], then: Mapping[str, Any]) -> None:
    changed = [
        f"{name} ({then.get(name)} -> {now.get(name)})"
        for name in sorted({*now, *then})
        if now.get(name) != then.get(name)
    ]
    if changed:
        raise HpsearchError(
            f"the checkpoint was written by another training; changed since: {', '.join(changed)}. "
            "Remove its folder to start over"
        )
