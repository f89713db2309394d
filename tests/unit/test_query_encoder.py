"""The bundle's Transformer alone asks for what the whole graph would."""

import numpy as np
import pytest

from endcap.bundle import Bundle, load_bundle
from endcap.deploy.settings import BUNDLES
from endcap.serving.query_encoder import QueryEncoder, Visit
from endcap.serving.retrieval import ExactRetriever, ItemTable


@pytest.fixture(scope="module")
def bundle() -> Bundle:
    return load_bundle(BUNDLES / "completejourney")


def _visit(seed: int, events: int, items: int) -> Visit:
    rng = np.random.default_rng(seed)
    return Visit(rng.integers(1, items + 1, events), np.full(events, 3), np.full(events, 4))


def test_a_visit_is_encoded_alone_as_among_longer_ones(bundle: Bundle) -> None:
    encoder = QueryEncoder(bundle)
    visits = [_visit(seed, events, len(bundle.items)) for seed, events in enumerate((1, 3, 7, 50))]
    together = encoder.encode(visits)
    np.testing.assert_allclose(np.linalg.norm(together, axis=1), 1.0, atol=1e-5)
    for row, visit in enumerate(visits):
        np.testing.assert_allclose(encoder.encode([visit])[0], together[row], atol=1e-5)


def test_who_bought_one_thing_is_near_it(bundle: Bundle) -> None:
    encoder = QueryEncoder(bundle)
    table = ItemTable(encoder.item_vectors())
    assert table.items == len(bundle.items)
    bought = [_visit(seed, 1, len(bundle.items)) for seed in range(50)]
    found = ExactRetriever(table).find(encoder.encode(bought), 100)
    near = [visit.item_ids[0] in row for visit, row in zip(bought, found.ids, strict=True)]
    assert np.mean(near) > 0.9
