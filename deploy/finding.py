"""What `endcap doctor` says of one part."""

from typing import NamedTuple


class Finding(NamedTuple):
    """One part's state."""

    part: str
    ok: bool
    says: str
