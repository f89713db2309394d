"""`endcap segments`: learn what makes a segment, keep them up to date, look at them."""

import asyncio
import json
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

import msgspec
import typer

from endcap.deploy.printed import Json, screen
from endcap.deploy.printed import show as show_result
from endcap.deploy.settings import Settings, load_settings
from endcap.errors import DataError, EndcapError

if TYPE_CHECKING:
    from endcap.marketing.segment_model import SegmentModel
    from endcap.serving.segment_store import SegmentStore

app = typer.Typer(no_args_is_help=True, help="Segments of shoppers, from their sessions.")
_T = TypeVar("_T")
Purchases = Annotated[
    str, typer.Argument(help="completejourney, or a .parquet or .csv file of purchase lines.")
]


@app.command()
def build(
    purchases: Purchases = "completejourney",
    out: Annotated[
        Path | None, typer.Option(help="The file to write (default: segments_file).")
    ] = None,
    as_json: Json = False,
) -> None:
    """Learn from purchases how often shoppers return and what they spend: segments.json.

    Example: endcap segments build purchases.parquet --out runs/segments.json
    """
    from endcap.deploy.segment_data import learned_from, read_purchases

    lines = read_purchases(purchases)
    from endcap.marketing.segment_model import encode_model
    from endcap.marketing.segment_training import build_model, item_facts

    learned = learned_from(lines)
    model = build_model(learned.sessions, item_facts(lines), learned.until_ms, purchases)
    file = out or load_settings().segments_path
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(encode_model(model))
    except OSError as error:
        raise EndcapError(
            f"{file} cannot be written: {error.strerror}. Name another by --out."
        ) from error
    found = {"file": str(file), "shoppers": model.shoppers, "items": len(model.items)}
    found |= {"visits": msgspec.to_builtins(model.visits)}
    show_result(found | {"spend": msgspec.to_builtins(model.spend)}, as_json)


@app.command()
def evaluate(purchases: Purchases = "completejourney", as_json: Json = False) -> None:
    """Foretell the last 13 weeks' visits from what sessions held before, beside simpler ways.

    Example: endcap segments evaluate --json
    """
    from endcap.deploy.segment_data import judged, read_purchases

    show_result(judged(read_purchases(purchases)), as_json)


@app.command()
def follow(
    metrics_port: Annotated[int | None, typer.Option(help="Port of /metrics.")] = None,
) -> None:
    """Keep every shopper's segment in Redis up to date with the stream, until Ctrl-C.

    Example: endcap segments follow --metrics-port 9105
    """
    from endcap.deploy.observed import observe
    from endcap.deploy.segments_process import run_segments

    settings = load_settings(metrics_port=metrics_port)
    observe(settings, "segments")
    run_segments(settings)


@app.command()
def show(
    user_id: Annotated[str, typer.Argument(help="The user id.")], as_json: Json = False
) -> None:
    """A shopper's segment, with the state of now.

    Example: endcap segments show 1364
    """
    from endcap.segments import state_at

    settings = load_settings()
    kept_id = settings.kept_id(user_id)
    segment = _with_store(settings, lambda store: store.segment(kept_id))
    if segment is None:
        raise EndcapError(
            f"There is no segment of {user_id}: nothing was bought, or `endcap segments follow` "
            "does not run."
        )
    found = {"user_id": user_id, "state": state_at(segment, _now_ms())}
    show_result(found | msgspec.to_builtins(segment), as_json)


@app.command()
def count(as_json: Json = False) -> None:
    """How many shoppers are in which state and tier.

    Example: endcap segments count --json
    """
    found = _with_store(load_settings(), lambda store: store.counts(_now_ms()))
    if as_json:
        print(json.dumps(found))
        return
    from rich.table import Table

    table = Table("", "shoppers")
    for counted in found.values():
        for name, number in counted.items():
            table.add_row(name, f"{number:,}")
    screen.print(table)


def opened_model(settings: Settings) -> "SegmentModel":
    """What segments are made by.

    Raises:
        DataError: there is none, or it is damaged.
    """
    from endcap.marketing.segment_model import read_model

    file = settings.segments_path
    try:
        raw = file.read_bytes()
    except OSError as error:
        raise DataError(
            f"{file} cannot be read: {error.strerror}. Make it: endcap segments build"
        ) from error
    return read_model(raw, str(file))


def _now_ms() -> int:
    return int(time.time() * 1000)


def _with_store(settings: Settings, ask: "Callable[[SegmentStore], Awaitable[_T]]") -> _T:
    async def asked() -> Any:
        from endcap.serving.segment_store import SegmentStore  # other commands do not need redis

        store = SegmentStore(settings.store)
        try:
            return await ask(store)
        finally:
            await store.close()

    found: _T = asyncio.run(asked())
    return found
