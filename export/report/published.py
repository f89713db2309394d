"""Published figures of the field's public sets, to stand beside measured ones on the page.

They are shown when a user names the set (`--published diginetica`) and used for nothing else:
nothing is trained, tuned, chosen or stopped by them, and a set is never guessed from its content.
Each is for the split that its source names; whether the data at hand is that split, the user says.
"""

from endcap.errors import DataError
from endcap.export.report.found import Published
from endcap.near_names import did_you_mean


def published_of(name: str) -> tuple[Published, ...]:
    """The figures known of a set, in the order of its papers.

    Raises:
        DataError: a name that is not here.
    """
    figures = PUBLISHED.get(name)
    if figures is None:
        raise DataError(
            f"no published figures are known for {name!r}.{did_you_mean(name, PUBLISHED)} There are"
            f" some for {', '.join(sorted(PUBLISHED))}. Leave --published out for any other set"
        )
    return figures


def _next_item(ranker: str, p_at_20: float, mrr_at_20: float, source: str) -> Published:
    share = round(p_at_20 / 100, 6)
    metrics = {"hr_at_20": share, "precision_at_20": share, "mrr_at_20": round(mrr_at_20 / 100, 6)}
    return Published(ranker, metrics, source)


def _full_ranking(
    ranker: str, hr_at_10: float, ndcg_at_10: float, source: str, hr_at_20: float | None = None
) -> Published:
    metrics = {"hr_at_10": hr_at_10, "ndcg_at_10": ndcg_at_10}
    return Published(ranker, metrics | ({"hr_at_20": hr_at_20} if hr_at_20 else {}), source)


_S3_REC = "Zhou et al., CIKM 2020"

PUBLISHED = {
    "diginetica": (
        _next_item("NARM", 49.70, 16.17, "in Wu et al., AAAI 2019"),
        _next_item("SR-GNN", 50.73, 17.59, "Wu et al., AAAI 2019"),
        _next_item("GCE-GNN", 54.22, 19.04, "Wang et al., SIGIR 2020"),
        _next_item("CORE", 52.89, 18.58, "Hou et al., SIGIR 2022; split 8:1:1, not by days"),
    ),
    "beauty": (
        _full_ranking("Pop", 0.0152, 0.0068, _S3_REC, 0.0217),
        _full_ranking("GRU4Rec", 0.0283, 0.0137, _S3_REC, 0.0479),
        _full_ranking("Caser", 0.0347, 0.0176, _S3_REC, 0.0556),
        _full_ranking("BERT4Rec", 0.0347, 0.0170, _S3_REC, 0.0599),
        _full_ranking("SASRec", 0.0605, 0.0318, _S3_REC, 0.0902),
        _full_ranking("S3-Rec", 0.0647, 0.0327, _S3_REC, 0.0994),
        _full_ranking("ICLRec", 0.0744, 0.0403, "Chen et al., WWW 2022"),
        _full_ranking("BSARec", 0.1008, 0.0611, "Shin et al., AAAI 2024 (log)", 0.1373),
    ),
}
