"""Who is told how far long work is."""

from typing import Protocol


class Progress(Protocol):
    """A terminal's bars, or a test's notebook."""

    def say(self, sentence: str) -> None:
        """A finished step."""

    def advance(self, what: str, done: int, of: int) -> None:
        """`done` of `of` steps of a task."""
