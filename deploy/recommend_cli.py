"""`endcap recommend`: a list from words, or from item ids, by the path that serves shoppers."""

import json
from pathlib import Path
from typing import Annotated, Any

import typer

from endcap.bundle import Bundle
from endcap.deploy.bundle_signatures import load_trusted
from endcap.deploy.printed import Json, screen
from endcap.deploy.settings import DEMO_BUNDLE, load_settings
from endcap.deploy.text_index import open_text_index
from endcap.errors import EndcapError
from endcap.lists import RecommendationList
from endcap.near_names import nearest_names
from endcap.policy import Policy
from endcap.text import Understood, find_items


def recommend(
    words: Annotated[str, typer.Argument(help="What somebody bought or looks for.")] = "",
    items: Annotated[str, typer.Option(help="Item ids instead, with commas.")] = "",
    bundle: Annotated[Path | None, typer.Option(help="The model bundle's folder.")] = None,
    encoder: Annotated[
        Path | None,
        typer.Option(help="Folder of the ONNX text encoder (default: in the bundle)."),
    ] = None,
    top: Annotated[int, typer.Option(help="How many items to recommend.", min=1, max=100)] = 10,
    as_json: Json = False,
) -> None:
    """What goes with the items that words name, or with items named by id.

    Exit code 1 where the catalogue has nothing like any of it.

    Example: endcap recommend "I bought milk, a dozen eggs and some bananas."
    """
    if words.strip() and items.strip():
        raise EndcapError("Words and --items name the items twice: give one of the two.")
    if not (words.strip() or items.strip()):
        raise EndcapError('Say what was bought ("milk and eggs"), or give its ids by --items A,B.')
    settings = load_settings(bundle=bundle)
    folder = settings.bundle
    model = load_trusted(folder, settings)
    if bundle is None:
        screen.print(_who_answers(folder, model), markup=False, highlight=False, soft_wrap=True)
    if items:
        chosen = _by_id(items, model)
        understood = Understood((), ())
    else:
        understood = find_items(
            words, open_text_index(folder, model, encoder), model.generators.sold_first
        )
        chosen = [mention.items[0] for mention in understood.mentions]
    ready = _listed(chosen, model, top) if chosen else None
    if as_json:
        print(json.dumps(_told(understood, chosen, ready, model)))
    else:
        _show(understood, ready, model)
    if not chosen:
        raise EndcapError(_nothing(understood, model))


def _who_answers(folder: Path, model: Bundle) -> str:
    which = "The demo's bundle" if folder == DEMO_BUNDLE else f"The bundle in {folder}"
    name = model.manifest.name
    return f"{which} answers ({name}); --bundle FOLDER or ENDCAP_BUNDLE names another."


def _by_id(items: str, model: Bundle) -> list[int]:
    named = [name.strip() for name in items.split(",") if name.strip()]
    unknown = [name for name in named if name not in model.index_of]
    if unknown:
        raise EndcapError("\n".join(_unknown(name, model) for name in unknown))
    return [model.index_of[name] for name in named]


def _unknown(name: str, model: Bundle) -> str:
    near = nearest_names(name, model.index_of, most=3)
    shown = ", ".join(f"{i} ({model.item(model.index_of[i]).title})" for i in near)
    return f"The item {name} is not in this bundle. " + (
        f"The nearest ids: {shown}." if near else "No id is near to it; try its name instead."
    )


def _listed(chosen: list[int], model: Bundle, top: int) -> RecommendationList:
    """As if the items had just been put into an empty cart, one after the other."""
    from endcap.serving.cart_session import cart_session
    from endcap.serving.onnx_session import OnnxScorer
    from endcap.serving.rescorer import rescore

    session = cart_session([model.item(index).item_id for index in chosen])
    policy = Policy(size=top)
    return rescore([session], model, OnnxScorer(model, threads=1), policy)[session.user_id]


def _told(
    understood: Understood, chosen: list[int], ready: RecommendationList | None, model: Bundle
) -> dict[str, Any]:
    def title(item_id: str) -> str:
        return model.item(model.index_of[item_id]).title

    return {
        "model": model.manifest.name,
        "understood": [
            {
                "phrase": mention.phrase,
                "similarity": mention.similarity,
                "items": [
                    {"id": model.item(i).item_id, "title": model.item(i).title}
                    for i in mention.items
                ],
            }
            for mention in understood.mentions
        ],
        "nothing_like": list(understood.nothing_like),
        "from": [model.item(index).item_id for index in chosen],
        "items": [
            {"id": i.id, "title": title(i.id), "score": i.score, "reason": i.reason}
            for i in (ready.items if ready else ())
        ],
    }


def _show(understood: Understood, ready: RecommendationList | None, model: Bundle) -> None:
    from rich.table import Table

    for mention in understood.mentions:
        item = model.item(mention.items[0])
        screen.print(
            f"{mention.phrase} -> {item.title} ({item.item_id}), "
            f"similarity {mention.similarity:.2f}",
            markup=False,
            highlight=False,
        )
    if ready is None:
        return
    for phrase in understood.nothing_like:
        screen.print(f"{phrase} -> the catalogue has nothing like it", markup=False)
    table = Table("", "item", "id", "why")
    for rank, found in enumerate(ready.items, start=1):
        title = model.item(model.index_of[found.id]).title
        table.add_row(str(rank), title, found.id, found.reason)
    screen.print(table)


def _nothing(understood: Understood, model: Bundle) -> str:
    if not understood.nothing_like:
        return "The sentence names no item. Say what was bought: milk, a dozen eggs."
    phrases = ", ".join(f'"{phrase}"' for phrase in understood.nothing_like)
    return f"The catalogue of {model.manifest.name} has nothing like {phrases}."
