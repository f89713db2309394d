"""A shop whose answer to prices is known: weekly sales of a few items, drawn from it."""

import numpy as np
import polars as pl

ELASTICITY = -1.8


def made_up_weeks(
    items: int = 24, weeks: int = 40, seed: int = 3, elasticity: float = ELASTICITY
) -> pl.DataFrame:
    """Rows for `panel_of`: two categories, sizes of 10 and 20 in families of two.

    The price of each item is cut in a quarter of the weeks; that of the last item never moves.
    """
    rng = np.random.default_rng(seed)
    rows = []
    for number in range(items):
        regular = 1.99 + number % 5 + (number % 2) * 1.2
        usual = 6 + 3 * (number % 6)
        for week in range(1, weeks + 1):
            is_cut = rng.random() < 0.25 and number < items - 1
            price = round(regular * (rng.choice([0.7, 0.8, 0.9]) if is_cut else 1.0), 2)
            mean = usual * (price / regular) ** elasticity
            rows.append(
                {
                    "item_id": f"i{number:02}",
                    "title": f"item {number}",
                    "category": "COFFEE" if number < items // 2 else "TEA",
                    "department": "GROCERY",
                    "family": f"f{number // 2}",
                    "size": 10.0 if number % 2 == 0 else 20.0,
                    "week": week,
                    "units": int(rng.poisson(mean)),
                    "price": price,
                    "regular_price": round(regular, 2),
                    "display": float(is_cut and rng.random() < 0.3),
                }
            )
    return pl.DataFrame(rows)
