"""What an evaluation found, as a page for people and as JSON for programs."""

from endcap.export.report.comparison import compare
from endcap.export.report.feedback_rows import feedback_from
from endcap.export.report.found import About, Epoch, Feedback, Found, Idea, Published
from endcap.export.report.page import write_report
from endcap.export.report.published import published_of

__all__ = [
    "About",
    "Epoch",
    "Feedback",
    "Found",
    "Idea",
    "Published",
    "compare",
    "feedback_from",
    "published_of",
    "write_report",
]
