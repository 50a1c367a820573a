"""What is wrong with a training, from its metrics, and which setting to change. Free of torch."""

from hpsearch.health.checks import exploded
from hpsearch.health.examination import Digest, digest, examine, examine_trial
from hpsearch.health.findings import Finding, Kind, Severity, Thresholds

__all__ = ["Digest", "Finding", "Kind", "Severity", "Thresholds", "digest", "examine", "examine_trial", "exploded"]
