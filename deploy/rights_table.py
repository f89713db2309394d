"""The rights of `endcap topics acls` as the table of docs/security.md."""

from endcap.deploy.kafka_rights import rights
from endcap.deploy.settings import Settings


def rights_table(settings: Settings) -> str:
    """Markdown; a star stands for any ending."""
    lines = ["| process | on | name | may |", "|---|---|---|---|"]
    for process, of_process in rights(settings).items():
        for right in of_process:
            name = right.name + ("*" if right.pattern == "prefixed" else "")
            may = ", ".join(right.operations)
            lines.append(f"| `{process}` | {right.resource} | `{name}` | {may} |")
    return "\n".join(lines) + "\n"
