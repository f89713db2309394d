"""What words find on Complete Journey, and how well items are placed by their words."""

from pathlib import Path
from typing import Any

import numpy as np

from endcap.bundle import Bundle, load_bundle
from endcap.deploy.progress import Bars
from endcap.errors import EndcapError
from endcap.text import (
    StaticEncoder,
    TextIndex,
    encode_words,
    item_text,
    load_words,
    open_index,
)


def bench_words(folder: Path, with_teacher: bool) -> dict[str, Any]:
    """`found`, `misspelt_found`: shares of phrases whose first item is what was meant. `refusal`:
    at the bundle's least similarity, of what is sold and what is not. `chosen`: the least
    similarity that half of the phrases would choose, and what it does to the other half. `teacher`:
    the same with the transformer that the student learned from; how often the two agree."""
    try:
        from endcap.export.text.student import agreement
        from endcap.export.text.teacher import minilm
        from endcap.export.text.words import encoder_words
    except ImportError as error:
        raise EndcapError(
            f"This needs the export extra ({error.name} is missing): "
            "pip install '.[export]' in a clone."
        ) from error

    model = load_bundle(folder)
    words = load_words(folder, model.manifest)
    student = StaticEncoder(words.table)
    index = open_index(model.items, words, student)
    found: dict[str, Any] = {
        "texts": len(index.texts),
        "bytes": len(encode_words(words)),
        "student": _measured(index, model),
    }
    if with_teacher:
        encoder = minilm()
        of_teacher = encoder_words(model.items, encoder, "torch", encoder.name)
        found["teacher"] = _measured(open_index(model.items, of_teacher, encoder), model)
        found["agreement"] = agreement(encoder, student, index.texts)
    return found


def bench_cold_start(
    folder: Path, share: float, seeds: int, epochs: int, bars: Bars
) -> dict[str, Any]:
    """`endcap.export.text.cold_start` with the words of a bundle, in the space of an SVD or, with
    `epochs`, of a Transformer trained so long."""
    try:
        from endcap.export.data.baskets import read_completejourney
        from endcap.export.data.protocols import split
        from endcap.export.text.cold_start import cold_start
        from endcap.export.text.encoder_space import encoder_space
        from endcap.export.text.shopper_space import svd_space
    except ImportError as error:
        raise EndcapError(
            f"This needs the export extra ({error.name} is missing): "
            "pip install '.[export]' in a clone."
        ) from error

    words = load_words(folder, load_bundle(folder).manifest)
    data = read_completejourney()
    texts = ["", *(item_text(item) for item in data.items)]
    vectors = StaticEncoder(words.table).encode(texts)
    asked = split(data, "time")
    learn = encoder_space(epochs, bars) if epochs else svd_space
    return {
        "items": len(data.items),
        "share_hidden": share,
        "seeds": seeds,
        "space": f"Transformer, {epochs} epochs" if epochs else "SVD",
        "rankers": cold_start(asked, data.items, vectors, learn, share, range(seeds)),
    }


def _measured(index: TextIndex, model: Bundle) -> dict[str, Any]:
    from endcap.export.text.grocer_phrases import FOUND, MISSPELT, NOT_SOLD
    from endcap.export.text.refusal import (
        best_refusal,
        best_similarities,
        found_share,
        refusal_at,
    )

    popularity = model.generators.popularity
    sold = best_similarities((*FOUND, *MISSPELT), index, popularity)
    not_sold = best_similarities(NOT_SOLD, index, popularity)
    halves = [
        refusal_at(best_refusal(sold[one::2], not_sold[one::2]), sold[other::2], not_sold[other::2])
        for one, other in ((0, 1), (1, 0))
    ]
    return {
        "found": round(found_share(FOUND, index, model.items, popularity), 4),
        "misspelt_found": round(found_share(MISSPELT, index, model.items, popularity), 4),
        "refusal": refusal_at(index.least_similarity, sold, not_sold)._asdict(),
        "chosen": [half._asdict() for half in halves],
        "order_right": round(float((sold[:, None] > not_sold[None, :]).mean()), 4),
        "phrases": int(np.size(sold) + np.size(not_sold)),
    }
