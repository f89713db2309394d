"""Whether the lists are good."""

from endcap.deploy.monitoring.panels import Board, Panel, Query, quantiles

QUALITY = Board(
    "quality",
    "endcap: quality",
    "Are the lists good, for whom, and is the model still asked what it was trained on.",
    (
        Panel(
            "Hit rate beside best sellers",
            "Of lists whose shopper then touched an item that was "
            "not in the cart: the share that had it among the first ten. What a list is worth is "
            "the distance between the lines. Not an experiment: docs/experiments.md has those.",
            "percentunit",
            (Query("endcap:online_hit_rate:ratio_1h", "{{ranker}}"),),
        ),
        Panel(
            "Lists judged",
            "In an hour. Below a few hundred the hit rate means little.",
            "none",
            (Query("endcap:online_judged:increase_1h", "judged"),),
        ),
        Panel(
            "Coverage",
            "Share of the model's items on the last 5,000 to 10,000 lists, by process. It falls "
            "where one half of them is forgotten.",
            "percentunit",
            (Query("endcap_online_coverage > 0", "{{job}} {{instance}}"),),
        ),
        Panel(
            "Best sellers among listed items",
            "Of the first ten items of each list, those among the 100 best sellers. Near "
            "1: everybody sees the same.",
            "percentunit",
            (Query("endcap:online_popular_share:ratio_1h", "the 100 best sellers"),),
        ),
        Panel(
            "Empty lists",
            "Rules or stock leave nothing.",
            "percentunit",
            (Query("endcap:lists_empty:ratio_15m", "empty"),),
        ),
        Panel(
            "Drift",
            "Population stability index of what is asked against what was trained on: below "
            "0.1 nothing has moved, above 0.25 much has.",
            "none",
            (Query("endcap:model_input_drift:psi_1h", "{{feature}}"),),
        ),
        Panel(
            "Newest item, now and in training",
            "By fifths of all events, from the best sellers on, where the model knows the item.",
            "percentunit",
            (
                Query('endcap:model_input_share:ratio_1h{feature="newest_item"}', "{{bin}} now"),
                Query(
                    'max by (bin) (endcap_model_input_reference_share{feature="newest_item"})',
                    "{{bin}} trained",
                ),
            ),
        ),
        Panel(
            "Items that the model never met",
            "Of newest events, now and in training; one line where training's data did not say.",
            "percentunit",
            (
                Query('endcap:model_input_share:ratio_1h{feature="item_met", bin="unmet"}', "now"),
                Query(
                    "max by (model) (endcap_model_input_reference_share"
                    '{feature="item_met", bin="unmet"})',
                    "trained",
                ),
            ),
        ),
        Panel(
            "Can drift be told",
            "0: the bundle holds no figures; `endcap inputs`, or train it again.",
            "none",
            (Query("min by (model) (endcap_model_input_reference_known)", "{{model}}"),),
        ),
        Panel(
            "Shadow",
            "Share of the first 20 items that the shown model and its shadow have in common.",
            "percentunit",
            quantiles("endcap_shadow_overlap", 0.5),
        ),
    ),
)
