"""A page of prose in which parts between markers are written by a program.

A part begins with the line `<!-- bench:NAME -->` and ends with the line `<!-- /bench:NAME -->`.
"""

from endcap.errors import EndcapError


def with_part(page: str, name: str, part: str) -> str:
    """The page with `part` between the markers of `name`, an empty line before and after it, in
    place of what stands there; all else stays.

    Raises:
        EndcapError: a marker is missing, stands twice, or the second stands first.
    """
    first, last = f"<!-- bench:{name} -->", f"<!-- /bench:{name} -->"
    lines = page.split("\n")
    if lines.count(first) != 1 or lines.count(last) != 1 or lines.index(first) > lines.index(last):
        raise EndcapError(
            f"Where the table of {name} belongs cannot be told: put the lines `{first}` and "
            f"`{last}` into the page, each once, in this order."
        )
    before, after = lines[: lines.index(first) + 1], lines[lines.index(last) :]
    return "\n".join([*before, "", *part.strip("\n").split("\n"), "", *after])
