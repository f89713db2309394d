"""What every ranker gives to an evaluation."""

from typing import Protocol

from endcap.arrays import IntArray
from endcap.export.data.interactions import Cases

SLATE = 20


class Ranker(Protocol):
    """Answers questions: endcap's own graph, or an opponent."""

    def slates(self, cases: Cases) -> IntArray:
        """The best `SLATE` items of each case [n, SLATE], best first; 0 where there are fewer."""
        ...
