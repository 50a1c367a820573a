"""From finished runs to what may be said of them. Knows neither where runs come from nor how results are shown."""

from hpsearch.compare.comparison import Comparison
from hpsearch.compare.protocol import compare_runs

__all__ = ["Comparison", "compare_runs"]
