"""The text of a message, from a template and the shopper's recommended items.

Templates are Jinja2 in its sandbox: `{{ items }}` is a list of items with `id`, `title`, `reason`
and `price`; what is put into HTML is escaped, and an unknown name is an error, not a gap.
"""

from collections.abc import Sequence
from typing import NamedTuple

from jinja2 import StrictUndefined
from jinja2.exceptions import TemplateError
from jinja2.sandbox import ImmutableSandboxedEnvironment

from endcap.errors import DataError
from endcap.marketing.definition import CampaignPlan

_PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'">
<title>{{ subject }}</title>
<style>body{font:16px/1.5 system-ui,sans-serif;max-width:38rem;margin:2rem auto;padding:0 1rem}
li{margin:.4rem 0}.reason{color:#5f5b55}</style></head>
<body><h1>{{ subject }}</h1>{% for line in lines %}<p>{{ line }}</p>{% endfor %}
<ul>{% for item in items %}<li>{{ item.title }}{% if item.price is not none %}, \
{{ "%.2f"|format(item.price) }}{% endif %}<br><span class="reason">{{ item.reason }}</span></li>\
{% endfor %}</ul></body></html>
"""


class MessageItem(NamedTuple):
    """An item of the shopper's list."""

    id: str
    title: str
    reason: str
    price: float | None


class Message(NamedTuple):
    """`html`: a whole page, for a preview or a mail."""

    subject: str
    body: str
    html: str


def write_message(plan: CampaignPlan, items: Sequence[MessageItem]) -> Message:
    """For one shopper.

    Raises:
        DataError: the template is wrong, or there is nothing to recommend.
    """
    if not items:
        raise DataError("There is nothing to recommend: neither a list of their own nor a trend.")
    plain = ImmutableSandboxedEnvironment(undefined=StrictUndefined)
    page = ImmutableSandboxedEnvironment(undefined=StrictUndefined, autoescape=True)
    try:
        subject = " ".join(plain.from_string(plan.subject).render(items=items).split())
        body = plain.from_string(plan.body).render(items=items)
    except (TemplateError, TypeError, ValueError, ArithmeticError, MemoryError) as error:
        raise DataError(
            f"The template of {plan.name} cannot be filled in: {error}. It knows `items`, each "
            "with id, title, reason and price."
        ) from error
    html = page.from_string(_PAGE).render(
        subject=subject, lines=[line for line in body.split("\n") if line.strip()], items=items
    )
    return Message(subject, body, html)
