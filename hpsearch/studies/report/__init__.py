"""The report of a study: the question and its answer, the plan, what was spent, and the comparison."""

from hpsearch.studies.report.contents import ArmReport, FactorReport, StudyReport
from hpsearch.studies.report.files import study_json, study_markdown, write_study_report

__all__ = ["ArmReport", "FactorReport", "StudyReport", "study_json", "study_markdown", "write_study_report"]
