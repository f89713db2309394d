"""Experiments: who is in which variant, chance on a list, and whether a variant helps. No I/O."""

from endcap.experiments.assignment import place_of, spell, variant_in, variant_of
from endcap.experiments.counting import Counting, Found, Shoppers
from endcap.experiments.definition import (
    CURRENT,
    HOLDOUT,
    NO_EXPERIMENTS,
    Experiment,
    Experiments,
    Explore,
    Refusal,
    Variant,
    refusals,
    time_ms,
)
from endcap.experiments.exploration import explored
from endcap.experiments.impression import (
    Impression,
    ShownAt,
    decode_impression,
    encode_impression,
)
from endcap.experiments.report import Report, encode_report, report_of

__all__ = [
    "CURRENT",
    "HOLDOUT",
    "NO_EXPERIMENTS",
    "Counting",
    "Experiment",
    "Experiments",
    "Explore",
    "Found",
    "Impression",
    "Refusal",
    "Report",
    "Shoppers",
    "ShownAt",
    "Variant",
    "decode_impression",
    "encode_impression",
    "encode_report",
    "explored",
    "place_of",
    "refusals",
    "report_of",
    "spell",
    "time_ms",
    "variant_in",
    "variant_of",
]
