"""What an opponent is: a name, options with a grid of their own, and a way to learn."""

from collections.abc import Callable, Iterator, Mapping
from typing import NamedTuple, TypeVar

import msgspec

from endcap.export.data.interactions import Interactions
from endcap.export.data.slates import Ranker

Choice = bool | int | float | str
Choices = Mapping[str, Choice]
Grid = Mapping[str, tuple[Choice, ...]]
"""The values of each option, the default first."""
ROUNDS = "rounds"
"""Among the choices: after how many rounds of learning (epochs) to stop."""

OptionsT = TypeVar("OptionsT", bound=msgspec.Struct)


class Task(NamedTuple):
    """What is learned from: `train`'s events over items 1 to `n_items`; `seed` decides all that is
    drawn."""

    train: Interactions
    n_items: int
    seed: int


class Opponent(NamedTuple):
    """`grid`: the values to choose from. `rounds` learns, and gives a ranker
    after each round, which stays as it is when the next begins. `costly`: trained with torch,
    minutes where the others take seconds. `paper`: what it follows.
    """

    name: str
    paper: str
    grid: Grid
    rounds: Callable[[Task, Choices], Iterator[Ranker]]
    costly: bool = False

    def defaults(self) -> dict[str, Choice]:
        """The first value of each option."""
        return {option: values[0] for option, values in self.grid.items()}

    def fit(self, task: Task, choices: Choices) -> Ranker:
        """Learn for as many rounds as the choices say, one where they do not."""
        wanted = int(choices.get(ROUNDS, 1))
        settings = {option: value for option, value in choices.items() if option != ROUNDS}
        rounds = self.rounds(task, settings)
        ranker = next(rounds)
        for _ in range(wanted - 1):
            ranker = next(rounds)
        return ranker


def counted(
    name: str,
    paper: str,
    options: type[OptionsT],
    fit: Callable[[Task, OptionsT], Ranker],
    grid: Grid,
) -> Opponent:
    """An opponent that counts and is done after one round."""

    def rounds(task: Task, choices: Choices) -> Iterator[Ranker]:
        yield fit(task, msgspec.convert(dict(choices), options))

    return Opponent(name, paper, grid, rounds)


def trained(
    name: str,
    paper: str,
    options: type[OptionsT],
    epochs: Callable[[Task, OptionsT], Iterator[Ranker]],
    grid: Grid,
) -> Opponent:
    """An opponent that learns epoch after epoch."""

    def rounds(task: Task, choices: Choices) -> Iterator[Ranker]:
        return epochs(task, msgspec.convert(dict(choices), options))

    return Opponent(name, paper, grid, rounds, costly=True)
