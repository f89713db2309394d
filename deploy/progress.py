"""Long work shows how far it is: one bar a task, sentences above the bars."""

from types import TracebackType
from typing import Self

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TaskID,
    TextColumn,
    TimeRemainingColumn,
)


class Bars:
    """Implements training's `Progress` on a terminal; on a pipe it prints the sentences alone."""

    def __init__(self, console: Console) -> None:
        columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
        self._bars = Progress(*columns, TimeRemainingColumn(), console=console)
        self._tasks: dict[str, TaskID] = {}

    def __enter__(self) -> Self:
        self._bars.start()
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._bars.stop()

    def say(self, sentence: str) -> None:
        """A finished step."""
        self._bars.console.print(sentence)

    def advance(self, what: str, done: int, of: int) -> None:
        """`done` of `of` steps of a task; the first call adds its bar.

        The time left is told from what is done after the first call: what an earlier run did has
        taken no time in this one.
        """
        if what not in self._tasks:
            self._tasks[what] = self._bars.add_task(what, total=of, completed=done)
        self._bars.update(self._tasks[what], completed=done, total=of)
