"""The options that say how the titles of items are read, for every command that trains."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NamedTuple

import typer

from endcap.errors import SettingsError

if TYPE_CHECKING:
    from endcap.export.data.events_file import EventForm
    from endcap.export.data.interactions import DataSet
    from endcap.export.progress import Progress
    from endcap.export.text.make_words import WordsMaker

Encoder = Annotated[
    Path | None,
    typer.Option(help="A sentence encoder as `transformers` saves it; else a static student."),
]
Language = Annotated[str, typer.Option(help="Of the shop's customers, with --encoder.")]
WithWords = Annotated[
    bool,
    typer.Option("--words/--no-words", help="Where items have titles: place new ones, name all."),
]


class Wording(NamedTuple):
    """How a person wants titles to be read, if at all."""

    encoder: Path | None
    language: str
    is_wanted: bool


def words_for(
    data: "DataSet", form: "EventForm", wording: Wording, progress: "Progress"
) -> "WordsMaker | None":
    """What makes the words; None where they are not wanted, or no item has a title: that is said
    where a person gave a file of items, or an encoder.

    Raises:
        SettingsError: an encoder is given and not wanted.
        DataError: there is no such encoder.
    """
    from endcap.export.data.catalogue_columns import why_untitled
    from endcap.export.text.make_words import has_titles, words_maker

    if not wording.is_wanted:
        if wording.encoder is not None:
            raise SettingsError("--encoder and --no-words exclude one another: leave one out.")
        return None
    if not has_titles(data.items):
        if form.items is not None:
            why = why_untitled(form.items, form.item_columns)
            progress.say(f"no item has a title, so there will be no words: {why}")
        elif wording.encoder is not None:
            progress.say("no item has a title, so there will be no words: give --items FILE")
        return None
    return words_maker(wording.encoder, wording.language)
