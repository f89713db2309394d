"""What was learned as a bundle."""

from datetime import UTC, datetime
from pathlib import Path

from endcap.bundle import SCHEMA_VERSION, Manifest, write_bundle
from endcap.candidates import CONTEXT, FEATURES
from endcap.export.cards import add_cards
from endcap.export.data.interactions import DataSet
from endcap.export.learn import Learned

LICENCE = "Apache-2.0 (endcap); what the data's licence asks holds for the weights too"


def bundle_learned(
    folder: Path,
    learned: Learned,
    data: DataSet,
    command: str,
    metrics: dict[str, dict[str, float]],
    length: int,
    made_from: dict[str, str],
) -> Manifest:
    """Write the bundle, its model card and its data sheet; `metrics` by ranker, ours as `endcap`;
    `made_from`: of a student."""
    manifest = Manifest(
        schema_version=SCHEMA_VERSION,
        name=data.name,
        created_at=datetime.now(UTC).isoformat(timespec="seconds"),
        command=command,
        licence=LICENCE,
        data=data.facts,
        max_length=length,
        vocabulary_size=len(data.items),
        features=(*FEATURES, *CONTEXT),
        metrics=metrics | {"export": {"largest_difference": learned.largest_difference}},
        files={},
        made_from=made_from,
    )
    written = write_bundle(
        folder, manifest, data.items, learned.generators, learned.graph, learned.stages
    )
    return add_cards(folder, written)
