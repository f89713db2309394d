"""A shop's own Faust agents, which join the trends app from modules of its own."""

import importlib
from collections.abc import Callable, Sequence
from typing import Any

from endcap.errors import SettingsError
from endcap.topics import Topics

Register = Callable[[Any, Topics], None]
"""Gets the `faust.App` and the topics, before the app starts; adds agents, tables and timers."""


def load_extensions(names: Sequence[str]) -> list[Register]:
    """The functions that `trends_extensions` names: `module` (its `register`) or
    `module:function`.

    Raises:
        SettingsError: there is no such module or function.
    """
    return [_load(name) for name in names]


def _load(name: str) -> Register:
    module_name, _, function = name.partition(":")
    function = function or "register"
    try:
        module = importlib.import_module(module_name)
    except ModuleNotFoundError as error:
        # One that the extension itself imports is named as well.
        raise SettingsError(
            f"trends_extensions names {name}, but the module {error.name} is not installed here. "
            "Install it beside endcap, or put its folder on PYTHONPATH."
        ) from error
    register = getattr(module, function, None)
    if not callable(register):
        raise SettingsError(
            f"trends_extensions names {name}, but {module_name} has no function {function}. Define "
            f"{function}(app, topics), or name another by {module_name}:function."
        )
    found: Register = register
    return found
