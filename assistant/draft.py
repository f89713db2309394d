"""An answer while it is put together: claims with their facts, and notes without one."""

from collections.abc import Sequence

from endcap.assistant.answer import Answer, Citation, Claim, HandOver, Kind
from endcap.assistant.facts import Facts, Reference
from endcap.assistant.plan import Plan
from endcap.assistant.sayings import NOTES, say


class Draft:
    """Collects sentences in their order."""

    def __init__(self, plan: Plan, facts: Facts) -> None:
        self._plan = plan
        self._facts = facts
        self._claims: list[Claim] = []
        self._cited: dict[Citation, int] = {}
        self._notes: list[str] = []
        self._lines: list[str] = []

    @property
    def has_claims(self) -> bool:
        """Whether anything is said that rests on a fact."""
        return bool(self._claims)

    def claim(self, template: str, *references: Reference) -> bool:
        """Say it, if the records have each of its facts; whether they do."""
        said = self._said(template, references)
        if said is None:
            return False
        self._add(template, *said)
        return True

    def claim_once(self, template: str, *references: Reference) -> bool:
        """The same, but for what was said already: another product with the same title."""
        said = self._said(template, references)
        if said is None:
            return False
        if said[0] not in self._lines:
            self._add(template, *said)
        return True

    def _said(
        self, template: str, references: Sequence[Reference]
    ) -> tuple[str, list[Citation]] | None:
        cited = [citation for ref in references if (citation := self._facts.cite(ref)) is not None]
        if len(cited) < len(references):
            return None
        return say(template, self._plan.language, [each.value for each in cited]), cited

    def _add(self, template: str, text: str, cited: Sequence[Citation]) -> None:
        at = tuple(self._cited.setdefault(each, len(self._cited)) for each in cited)
        self._claims.append(Claim(text, template, at))
        self._lines.append(text)

    def note(self, name: str) -> None:
        """Say a sentence that holds no fact."""
        self._notes.append(name)
        self._lines.append(NOTES[name][self._plan.language])

    def finish(self, kind: Kind, hand_over: HandOver | None = None) -> Answer:
        """The answer."""
        return Answer(
            kind,
            self._plan.intent,
            self._plan.confidence,
            self._plan.language,
            _joined(self._lines),
            tuple(self._claims),
            tuple(self._cited),
            tuple(self._notes),
            hand_over,
        )


def _joined(lines: list[str]) -> str:
    """Sentences follow one another; points of a list have a line each."""
    text = ""
    for line in lines:
        if text:
            text += "\n" if line.startswith("•") or text.splitlines()[-1].startswith("•") else " "
        text += line
    return text
