"""The names of protocols and measures, as people say them, and which measures decide."""

from typing import NamedTuple


class ProtocolWords(NamedTuple):
    """`asks`: what a case is. `measures`: those of the first table; the first of them decides."""

    asks: str
    measures: tuple[str, ...]


PROTOCOLS = {
    "next-item": ProtocolWords(
        "Each prefix of a later session is shown; the next item is to be found in the whole"
        " catalogue, as the SR-GNN family reports it.",
        ("hr_at_20", "mrr_at_20", "hr_at_10", "ndcg_at_10"),
    ),
    "leave-one-out": ProtocolWords(
        "The last item of each shopper is hidden and to be found in the whole catalogue, as the"
        " SASRec family reports it.",
        ("hr_at_10", "ndcg_at_10", "hr_at_20", "mrr_at_20"),
    ),
    "time": ProtocolWords(
        "From a certain time on all is hidden; each later event or basket is to be found in the"
        " whole catalogue from what came before it.",
        ("hr_at_20", "ndcg_at_10", "hr_at_10", "mrr_at_20"),
    ),
}

ACCURACY = {
    "hr_at_10": ("HR@10", "Cases with a wanted item among the first 10."),
    "hr_at_20": ("HR@20", "Cases with a wanted item among the first 20."),
    "ndcg_at_10": ("NDCG@10", "As HR@10, and a hit counts less the lower it stands."),
    "mrr_at_20": ("MRR@20", "1 / rank of the first hit among 20, on average."),
    "precision_at_20": ("P@20", "What the SR-GNN family calls precision: the same as HR@20."),
    "precision": ("Precision", "Of the first 10 places, those with a wanted item."),
    "recall": ("Recall", "Of the wanted items, those among the first 10."),
    "f1": ("F1", "Harmonic mean of a case's precision and recall."),
    "map_at_10": ("MAP@10", "Precision at each hit among 10, on average."),
}

BEYOND = {
    "coverage": ("Coverage", "Items of the catalogue that are shown to anybody."),
    "gini": ("Concentration", "Gini of exposure: 0 all items equally, 1 one item alone."),
    "popular_shown": ("Popular tenth", "Places taken by the most popular tenth of the items."),
    "novelty": ("Novelty, bits", "Surprise: -log2 of the share of shoppers who have the item."),
    "diversity": ("Diversity", "Distance between two items of a slate, 0 to about 1."),
    "category_diversity": ("Categories", "Pairs of items of a slate that differ in category."),
    "repeats_shown": ("Repeats", "Places taken by items of the shopper's own history."),
    "empty_slates": ("Empty", "Cases with nothing shown."),
}
"""Measures beyond accuracy that the page shows; report.json holds all."""

METHODS = {"ips": "IPS", "snips": "SNIPS", "clipped": "Clipped IPS", "naive": "Unweighted"}
"""Estimates from feedback; see `measures.feedback`."""

AS_NUMBERS = ("gini", "novelty", "diversity")
"""All else on the page is a percentage."""

WANTED = {"popular_shown": "popular_wanted", "repeats_shown": "repeats_wanted"}
"""What shoppers wanted, beside what they were shown."""


def shown_value(measure: str, value: float) -> str:
    """A measure as the page writes it: a percentage without its sign, or a number."""
    return f"{value:.2f}" if measure in AS_NUMBERS else f"{100 * value:.2f}"
