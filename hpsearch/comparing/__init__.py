"""From finished runs to what may be said of them. Knows neither where runs come from nor how results are shown.

Rules are numbered as in docs/explanation/statistics.md.
"""

from hpsearch.comparing.comparison import Comparison
from hpsearch.comparing.protocol import compare_runs
from hpsearch.comparing.question import Question

__all__ = ["Comparison", "Question", "compare_runs"]
