"""A parameter that a route does not know is refused: a typo must not look like an answer."""

from fastapi import Request
from fastapi.exceptions import RequestValidationError

from endcap.near_names import did_you_mean

_OURS = "/v1/"
_BEACON_KEY = "key"
"""A beacon carries its key in the address, and the guard has looked at it."""


async def refuse_unknown_parameters(request: Request) -> None:
    """A dependency of all routes; what is behind `/v1/` is an interface, the page's are its own.

    Raises:
        RequestValidationError: with each unknown parameter, and what the route knows.
    """
    if not request.url.query or not request.url.path.startswith(_OURS):
        return
    known = [parameter.alias for parameter in request.scope["route"].dependant.query_params]
    if request.method == "POST":
        known.append(_BEACON_KEY)
    wrong = [name for name in dict.fromkeys(request.query_params) if name not in known]
    if wrong:
        said = [{"loc": ("query", name), "msg": _says(name, known)} for name in wrong]
        raise RequestValidationError(said)


def _says(name: str, known: list[str]) -> str:
    if not known:
        return "this route takes no parameters"
    return f"this route has no such parameter.{did_you_mean(name, known)} Known: {', '.join(known)}"
