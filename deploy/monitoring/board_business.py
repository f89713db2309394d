"""What shoppers do, and what they are shown."""

from endcap.deploy.monitoring.panels import Board, Panel, Query, quantiles, rate

BUSINESS = Board(
    "business",
    "endcap: business",
    "What shoppers do, and what they are shown.",
    (
        Panel(
            "Purchases, carts and views",
            "A minute.",
            "cpm",
            (
                Query(
                    "60 * sum by (event_name) (rate(endcap_events_by_type_total{event_name=~"
                    '"purchase|add_to_cart|view_item"}[5m]))',
                    "{{event_name}}",
                ),
            ),
        ),
        Panel(
            "Purchases for each item put into a cart",
            "Over an hour; baskets count once.",
            "percentunit",
            (
                Query(
                    'sum(rate(endcap_events_by_type_total{event_name="purchase"}[1h])) / '
                    'sum(rate(endcap_events_by_type_total{event_name="add_to_cart"}[1h]))',
                    "share",
                ),
            ),
        ),
        Panel("Requests", "By route.", "reqps", (rate("endcap_http_requests_total", "route"),)),
        Panel(
            "Answers that failed",
            "5xx, by route.",
            "reqps",
            (
                Query(
                    'sum by (route) (rate(endcap_http_requests_total{status=~"5.."}[5m]))',
                    "{{route}}",
                ),
            ),
        ),
        Panel(
            "Time to answer",
            "p99, by route.",
            "s",
            quantiles("endcap_http_request_seconds", 0.99, by="route"),
        ),
        Panel(
            "Age of lists that are shown",
            "When a page asks for a shopper's own list.",
            "s",
            quantiles("endcap_shown_list_age_seconds", 0.5, 0.9),
            log=True,
        ),
        Panel(
            "Lists that were not the shopper's own",
            "Where they came from instead.",
            "cps",
            (rate("endcap_http_fallback_lists_total", "source"),),
        ),
        Panel(
            "Rules", "Rules in force.", "none", (Query("max(endcap_rules_in_force)", "in force"),)
        ),
    ),
)
