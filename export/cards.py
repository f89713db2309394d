"""A model card and a data sheet in each bundle, made of what its manifest says.

The questions are those of Mitchell et al., "Model Cards for Model Reporting" (FAT* 2019, section
4), and Gebru et al., "Datasheets for Datasets" (CACM 64:12, 2021, section 3). What the manifest
does not know is said to be unknown.
"""

from collections.abc import Mapping
from pathlib import Path

from endcap.bundle import Manifest, with_file

MODEL_CARD, DATA_SHEET = "MODEL_CARD.md", "DATA_SHEET.md"
_UNKNOWN = "The manifest does not say."
_CONSENT = (
    "Who gave consent, and to what, is the shop's to say. endcap stores no event that says\n"
    "`consent: denied`, so none is in data that went through it."
)
_SHOWN = ("hr_at_10", "ndcg_at_10", "mrr_at_20", "recall")
_NOT_RANKERS = ("export", "cost")


def add_cards(folder: Path, manifest: Manifest) -> Manifest:
    """Write both into the folder and list them in its manifest; returns that."""
    manifest = with_file(folder, manifest, MODEL_CARD, model_card(manifest).encode())
    return with_file(folder, manifest, DATA_SHEET, data_sheet(manifest).encode())


def model_card(manifest: Manifest) -> str:
    """Markdown."""
    made_from = manifest.made_from.get("how")
    origin = f", from another model ({made_from})" if made_from else ""
    return f"""# Model card: {manifest.name}

## Model details
- Made {manifest.created_at} by `{manifest.command}`{origin}.
- A blend of a causal Transformer over a shopper's last {manifest.max_length} acts with counts of
  what was bought and viewed together, in one ONNX graph.
  It ranks {manifest.vocabulary_size:,} items.
- Licence: {manifest.licence}.
- What it is given of a shopper: acts (item, kind, time) and what is counted from them:
  {", ".join(manifest.features)}.
  No name, age, sex, address, device or origin.

## Intended use
- Ranking items of this shop for its own shoppers. Each item carries a reason that the shopper can
  read.
- Not for prices, credit, work, or whom to let in; not for guessing what a person is or believes.
  It was measured for none of these.

## Measures
On cases that training did not see. Higher is better.

{_measures(manifest.metrics)}

## Groups and limits
- New shoppers and new items get less exact lists: there is less to go by. The report of
  `endcap evaluate` has the measures by the length of a history and by how popular an item is.
- It learns what people did, also where the shop led them: what was shown more was bought more.
  Exploration, rules and diversity of lists are set outside the model.
- Items may tell of health, belief or pregnancy. A rule (`block`) keeps categories out of lists.
- {_export(manifest.metrics)}
"""


def data_sheet(manifest: Manifest) -> str:
    """Markdown."""
    facts = "\n".join(f"| {_cell(key)} | {_cell(value)} |" for key, value in manifest.data.items())
    return f"""# Data sheet of {manifest.name}'s training data

## Composition
| what | value |
|---|---|
{facts or f"| (nothing) | {_UNKNOWN} |"}

One row is one act of a shopper with one item: who (an id), which item, what kind of act, when. Ids
are the shop's own or a keyed hash of them; neither names nor addresses are in it. The data are not
in the bundle: it holds items, counts of items, and sessions of items for the nearest-neighbour
part, without ids of shoppers.

## Collection and consent
{manifest.data.get("consent", _CONSENT)}

## Preparation
`{manifest.command}` made everything from these data. `endcap evaluate` prints how training,
validation and test were cut; no case of a test was learned from.

## Uses, keeping, erasure
- {manifest.licence}.
- Who is erased by `endcap user erase` leaves sessions, lists and topics at once, and a model when
  it is trained anew from what is left: train at least as often as your notice promises.
"""


def _measures(metrics: Mapping[str, Mapping[str, float]]) -> str:
    rankers = {name: row for name, row in metrics.items() if name not in _NOT_RANKERS}
    shown = [name for name in _SHOWN if any(name in row for row in rankers.values())]
    if not shown:
        return _UNKNOWN
    lines = ["| ranker | " + " | ".join(shown) + " |", "|---" * (1 + len(shown)) + "|"]
    for name, row in rankers.items():
        cells = [f"{row[each]:.4f}" if each in row else "-" for each in shown]
        lines.append(f"| {_cell(name)} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def _export(metrics: Mapping[str, Mapping[str, float]]) -> str:
    difference = metrics.get("export", {}).get("largest_difference")
    if difference is None:
        return "How far the exported graph is from the trained model: unknown."
    return (
        f"The exported graph differs from the trained model by at most {difference:.1e} in a score."
    )


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ")
