"""What is counted of rules. No user or item id is ever a label."""

from prometheus_client import Counter, Gauge, Info

CHANGES = Counter(
    "endcap_rules_changes_total",
    "Rules that came: in_force; refused: those before stay in force",
    ["outcome"],
)
RETRIES = Counter(
    "endcap_rules_retries_total", "Looks for rules that could not be read where they lie"
)
COUNT = Gauge("endcap_rules_in_force", "How many rules there are, windows not looked at")
VERSION = Info("endcap_rules", "Which rules are in force, and since when")
TAKEN_OUT = Counter(
    "endcap_rules_taken_out_total", "Items taken out of a ready list when it was read", ["why"]
)
