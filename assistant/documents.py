"""The shop's documents: a folder of Markdown, split by its headings.

`FOLDER/en/returns.md`, `FOLDER/zh/returns.md`: a folder a language; what lies in FOLDER itself is
in the language of its letters. A document is quoted, never obeyed: a section with a sentence that
reads like an order to a program is left out as a whole, and told.
"""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from endcap.assistant.orders_to_programs import orders_a_program
from endcap.assistant.question import language_of
from endcap.errors import DataError

MAX_BYTES = 256 * 1024
MAX_SECTIONS = 5_000
_HEADING = re.compile(r"^(#{1,6})\s+(.+?)\s*#*$")
_SENTENCE = re.compile(r"(?<=[.!?])\s+(?=\S)|(?<=[。！？])\s*")
_MARKUP = re.compile(
    r"!\[[^\]]*\]\([^)]*\)|<!--.*?-->|<[^>]+>|[*_`]{1,3}(?=\S)|(?<=\S)[*_`]{1,3}", re.DOTALL
)
_LINK = re.compile(r"\[([^\]]*)\]\([^)]*\)")


class Section(NamedTuple):
    """What stands under one heading. `place`: file and heading, as it is cited; `title`: the
    document's first heading; `sentences`: in their order, without markup."""

    place: str
    title: str
    heading: str
    language: str
    sentences: tuple[str, ...]


class Documents(NamedTuple):
    """All sections; `left_out`: sentences that read like orders to a program, with the place of the
    section that was left out for them."""

    sections: tuple[Section, ...]
    left_out: tuple[tuple[str, str], ...] = ()

    def at(self, place: str) -> Section | None:
        """The section of a citation."""
        return next((section for section in self.sections if section.place == place), None)


def read_documents(folder: Path) -> Documents:
    """The documents of a folder; none where it holds no Markdown.

    Raises:
        DataError: there is no such folder, or a file of it cannot be read or is too large.
    """
    if not folder.is_dir():
        raise DataError(
            f"The shop's documents should lie in {folder}, which is no folder. Name it by "
            "ENDCAP_ASSISTANT_DOCUMENTS."
        )
    sections: list[Section] = []
    left_out: list[tuple[str, str]] = []
    for path in sorted(folder.rglob("*.md")):
        if not path.resolve().is_relative_to(folder.resolve()):
            continue  # a link out of the folder: what lies there is not the shop's word
        name = path.relative_to(folder).as_posix()
        for section in _sections(_text(path), name):
            said = (section.title, section.heading, *section.sentences)
            poisoned = [(section.place, each) for each in said if orders_a_program(each)]
            left_out += poisoned
            if not poisoned:
                sections.append(section)
        if len(sections) > MAX_SECTIONS:
            raise DataError(f"{folder} has more than {MAX_SECTIONS} sections; leave some out.")
    return Documents(tuple(sections), tuple(left_out))


def _text(path: Path) -> str:
    try:
        if path.stat().st_size > MAX_BYTES:
            raise DataError(f"{path} has more than {MAX_BYTES} bytes: split it by topic.")
        return path.read_text("utf-8-sig")
    except OSError as error:
        raise DataError(f"{path} cannot be read ({error.strerror}).") from error
    except UnicodeDecodeError as error:
        raise DataError(f"{path} is not UTF-8 ({error.reason}). Save it as UTF-8.") from error


def _sections(text: str, name: str) -> Iterator[Section]:
    of_folder = name.split("/")[0] if "/" in name else ""
    language = of_folder if len(of_folder) == 2 else language_of(text)
    title, heading = "", ""
    lines: list[str] = []
    places: dict[str, int] = {}

    def made() -> Iterator[Section]:
        sentences = tuple(_sentences("\n".join(lines)))
        if sentences:
            place = f"{name}#{heading or title}"
            places[place] = places.get(place, 0) + 1
            if places[place] > 1:
                place = f"{place} ({places[place]})"
            yield Section(place, title or name, heading or title or name, language, sentences)

    for line in _MARKUP.sub("", text).splitlines():
        found = _HEADING.match(line)
        if found is None:
            lines.append(line)
            continue
        yield from made()
        lines = []
        heading = found[2]
        title = title or heading
    yield from made()


def _sentences(text: str) -> Iterator[str]:
    """Of paragraphs and list items; a line break within a paragraph ends nothing."""
    for block in re.split(r"\n\s*\n|\n\s*(?:[-*+]|\d+\.)\s+|^\s*(?:[-*+]|\d+\.)\s+", text):
        joined = " ".join(_LINK.sub(r"\1", block).split())
        yield from (each.strip() for each in _SENTENCE.split(joined) if each.strip())
