"""Whether each claim of an answer says what the records say, and nothing else."""

from typing import NamedTuple

from endcap.assistant.answer import Answer
from endcap.assistant.documents import Documents
from endcap.assistant.facts import Facts, Reference
from endcap.assistant.question import Language
from endcap.assistant.records import Records
from endcap.assistant.sayings import CLAIMS, NOTES, say


class Grounding(NamedTuple):
    """How many claims there are, how many are supported, and the others' texts."""

    claims: int
    supported: int
    unsupported: tuple[str, ...]


def check_grounding(answer: Answer, records: Records, documents: Documents) -> Grounding:
    """Read each cited fact anew, and say the claim with it again: the same text must come out.

    What an answer shows beside its claims has to be notes, which hold no fact: other text counts as
    one unsupported claim.
    """
    language: Language = "zh" if answer.language == "zh" else "en"
    facts = Facts(records, documents, language)
    wrong: list[str] = []
    for claim in answer.claims:
        read = [
            facts.value(Reference(c.source, c.id, c.field))
            for c in (answer.citations[at] for at in claim.cites)
        ]
        known = [value for value in read if value is not None]
        is_whole = bool(read) and len(known) == len(read) and claim.says in CLAIMS
        if not is_whole or say(claim.says, language, known) != claim.text:
            wrong.append(claim.text)
    claims = len(answer.claims)
    supported = claims - len(wrong)
    if not answer.phrased and (rest := _beside_claims(answer, language)):
        claims += 1
        wrong.append(rest)
    return Grounding(claims, supported, tuple(wrong))


def _beside_claims(answer: Answer, language: Language) -> str:
    rest = answer.text
    said = [claim.text for claim in answer.claims] + [
        NOTES[name][language] for name in answer.notes
    ]
    for text in sorted(said, key=len, reverse=True):
        rest = rest.replace(text, "", 1)
    return rest.strip()
