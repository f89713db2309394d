"""How good slates are: pure functions of slates [n, 20] and the questions that they answer."""

from endcap.export.measures.accuracy import MEASURES, accuracy_per_case, means
from endcap.export.measures.beyond import Shop, beyond_accuracy, shop_of
from endcap.export.measures.summary import measure_all

__all__ = [
    "MEASURES",
    "Shop",
    "accuracy_per_case",
    "beyond_accuracy",
    "means",
    "measure_all",
    "shop_of",
]
