"""Words of customers in another language than the catalogue's, as the shop translates them.

A file `glossary.tsv` in the documents' folder: a customer's word, a tab, the catalogue's word.
"""

from collections.abc import Mapping
from pathlib import Path

from endcap.errors import DataError

GLOSSARY_FILE = "glossary.tsv"


def read_glossary(folder: Path) -> Mapping[str, str]:
    """The glossary of a documents' folder; empty where there is none.

    Raises:
        DataError: the file cannot be read, or a line has not two words; the message names it.
    """
    path = folder / GLOSSARY_FILE
    if not path.exists():
        return {}
    try:
        text = path.read_text("utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"{path} cannot be read as UTF-8: {error}.") from error
    found: dict[str, str] = {}
    for number, line in enumerate(text.splitlines(), start=1):
        if not line.strip() or line.startswith("#"):
            continue
        theirs, _, ours = (part.strip().lower() for part in line.partition("\t"))
        if not (theirs and ours):
            raise DataError(
                f"{path}, line {number}: a line is a customer's word, a tab, the catalogue's word."
            )
        found[theirs] = ours
    return found
