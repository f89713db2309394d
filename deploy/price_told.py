"""Evidence of prices as JSON, the same for the command line and the back office."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from endcap.pricing.panel import Panel
    from endcap.pricing.suggest import Evidence


def told_categories(panel: "Panel") -> list[dict[str, Any]]:
    """The categories with items and units a week, the largest first."""
    sums: dict[str, list[float]] = {}
    for item, units in zip(panel.items, panel.units.mean(axis=1), strict=True):
        row = sums.setdefault(item.category, [0, 0.0])
        row[0] += 1
        row[1] += float(units)
    return [
        {"category": name, "items": int(row[0]), "units_a_week": round(row[1], 1)}
        for name, row in sorted(sums.items(), key=lambda pair: -pair[1][1])
    ]


def told_elasticities(evidence: "Evidence", category: str) -> dict[str, Any]:
    """How demand answers to price and promotion in a category, item by item.

    Raises:
        DataError: there is no such category.
    """
    rows = evidence.panel.places_of(category)
    group = evidence.effects.categories[evidence.panel.items[int(rows[0])].category]
    items = []
    for row in rows:
        found, item = evidence.effects.items[int(row)], evidence.panel.items[int(row)]
        items.append(
            {
                "item_id": item.item_id,
                "title": item.title,
                "effects": {name: told_effect(one) for name, one in found.shrunk.items()},
                "own": {name: told_effect(one) for name, one in found.own.items()},
                "own_share": round(found.own_share, 3),
                "warning": found.warning,
            }
        )
    return {
        "category": group.name,
        "told_by": group.told_by,
        "effects": {name: told_effect(one) for name, one in group.mean.items()},
        "spread": {name: round(value, 3) for name, value in group.spread.items()},
        "items": items,
    }


def told_effect(found: Any) -> dict[str, float]:
    """An effect with its interval."""
    return {
        "value": round(found.value, 3),
        "low": round(found.low, 3),
        "high": round(found.high, 3),
    }
