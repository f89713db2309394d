"""What `endcap tune` may choose, and how a choice becomes options."""

from typing import Any

import msgspec
from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)

from endcap.export.learn_options import LearnOptions

Choice = dict[str, Any]
"""Name to value, as Optuna has them."""

_OF_ENCODER = ("dim", "layers", "dropout", "item_dropout", "temperature")
_OF_FIT = ("learning_rate", "item_rate", "positions", "negatives")


def space_around(default: LearnOptions) -> dict[str, BaseDistribution]:
    """Ranges that hold the default, whatever it is: it is the first choice tried."""
    encoder, fit = default.encoder, default.fit
    return {
        "dim": _one_of((32, 64, 96, 128), encoder.dim),
        "layers": IntDistribution(1, max(3, encoder.layers)),
        "dropout": _from_to(0.0, 0.5, encoder.dropout),
        "item_dropout": _from_to(0.0, 0.5, encoder.item_dropout),
        "temperature": _from_to(0.03, 0.2, encoder.temperature, log=True),
        "learning_rate": _from_to(5e-4, 1e-2, fit.learning_rate, log=True),
        "item_rate": _from_to(0.5, 4.0, fit.item_rate, log=True),
        "positions": _one_of((512, 1024, 2048, 4096, 8192), fit.positions),
        "negatives": _one_of((1024, 4096, 16384), fit.negatives),
    }


def choice_of(options: LearnOptions) -> Choice:
    """The options as a choice."""
    chosen = {name: getattr(options.encoder, name) for name in _OF_ENCODER}
    return chosen | {name: getattr(options.fit, name) for name in _OF_FIT}


def options_with(default: LearnOptions, choice: Choice) -> LearnOptions:
    """`default` but for what was chosen."""
    return msgspec.structs.replace(
        default,
        encoder=msgspec.structs.replace(
            default.encoder, **{name: choice[name] for name in _OF_ENCODER}
        ),
        fit=msgspec.structs.replace(default.fit, **{name: choice[name] for name in _OF_FIT}),
    )


def _one_of(values: tuple[int, ...], default: int) -> BaseDistribution:
    return CategoricalDistribution(sorted({*values, default}))


def _from_to(low: float, high: float, default: float, log: bool = False) -> BaseDistribution:
    return FloatDistribution(min(low, default), max(high, default), log=log)
