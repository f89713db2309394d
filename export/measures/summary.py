"""All measures of one ranker, under the names that `endcap evaluate --json` promises."""

from endcap.arrays import IntArray
from endcap.export.data.interactions import Cases
from endcap.export.measures.accuracy import accuracy_per_case, means
from endcap.export.measures.beyond import Shop, beyond_accuracy


def measure_all(slates: IntArray, cases: Cases, shop: Shop) -> dict[str, float]:
    """Accuracy and what is beyond it; see both modules for each key.

    Raises:
        DataError: slates of a wrong shape, an item twice on one slate, or a case without targets.
    """
    return means(accuracy_per_case(slates, cases)) | beyond_accuracy(slates, cases, shop)
