"""The committed bundle's graph in float16: half as large, the same first 20."""

from typing import Any

import numpy as np
import pytest

onnx: Any = pytest.importorskip("onnx")

from endcap.batches import ScoredItems, make_batch  # noqa: E402
from endcap.bundle import load_bundle  # noqa: E402
from endcap.deploy.settings import BUNDLES  # noqa: E402
from endcap.events import EventType  # noqa: E402
from endcap.export.smaller.half_graph import in_half  # noqa: E402
from endcap.serving.bound_graph import BoundGraph  # noqa: E402
from endcap.serving.buckets import Bucket  # noqa: E402
from endcap.serving.whole_graph import WholeGraph  # noqa: E402
from endcap.sessions import Act, Session, fold_acts  # noqa: E402

pytestmark = pytest.mark.models


def first_20(scored: ScoredItems) -> list[set[int]]:
    ranked = np.argsort(-np.where(scored.ids > 0, scored.scores, -np.inf), axis=1)[:, :20]
    return [set(row) for row in np.take_along_axis(scored.ids, ranked, axis=1).tolist()]


def test_the_first_20_stay_in_float16_and_the_item_table_lies_there_once() -> None:
    bundle = load_bundle(BUNDLES / "completejourney")
    half = in_half(bundle.model)
    assert len(half) < 0.6 * len(bundle.model)
    model = onnx.load_from_string(half)
    tables = [t for t in model.graph.initializer if t.dims and t.dims[0] == len(bundle.items) + 1]
    by_type = {tuple(t.dims)[1]: t.data_type for t in tables}
    assert by_type == {64: onnx.TensorProto.FLOAT16, 2: onnx.TensorProto.FLOAT}

    rng = np.random.default_rng(0)
    shoppers = [Session("nobody")]
    for number in range(63):
        items = (rng.random(1 + number) ** 2 * len(bundle.items)).astype(int).tolist()
        acts = [
            Act(at, EventType.VIEW_ITEM.code, bytes([at]), (bundle.items[item].item_id,))
            for at, item in enumerate(items, start=1)
        ]
        shoppers.append(fold_acts(Session(f"u{number}"), acts))
    crowd = bundle.crowd(shoppers)
    batch = make_batch(crowd, bundle.gatherer.gather(crowd), bundle.manifest.max_length)
    expected = first_20(WholeGraph(bundle.model, "float32", "cpu", 1).run(batch))
    whole = WholeGraph(half, "float16", "cpu", 1)
    for found in (whole.run(batch), BoundGraph(whole, (Bucket(64, 50, 300),)).run(batch)):
        assert found.ids.dtype == np.int64
        assert found.scores.dtype == np.float32
        shared = [len(a & b) / 20 for a, b in zip(first_20(found), expected, strict=True)]
        assert np.mean(shared) >= 0.99
