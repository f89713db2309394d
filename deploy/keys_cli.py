"""`endcap keys`: make a key for HTTP."""

from typing import Annotated

import typer

from endcap.deploy.printed import Json, screen
from endcap.deploy.printed import show as show_result
from endcap.errors import EndcapError

app = typer.Typer(no_args_is_help=True, help="Keys for the HTTP API.")
_ROLES = ("reader", "writer", "privacy", "operator")


@app.callback()
def keys() -> None:
    """Keys for the HTTP API: only their SHA-256 is kept."""


@app.command()
def new(
    name: Annotated[str, typer.Argument(help="Who holds it, for instance web.")],
    role: Annotated[
        list[str], typer.Option(help="reader, writer, privacy or operator; may be repeated.")
    ],
    as_json: Json = False,
) -> None:
    """Make a key: it is shown once, and its SHA-256 as lines for the file of api_keys_file.

    Example: endcap keys new web --role reader --role writer
    """
    from endcap.serving.api_keys import new_key

    if unknown := [each for each in role if each not in _ROLES]:
        raise EndcapError(f"There is no role {unknown[0]}. Known: {', '.join(_ROLES)}.")
    if not name or not all(c.isalnum() or c in "-_" for c in name):
        raise EndcapError(f"{name!r} is no name for a key: letters, digits, - and _ only.")
    key, sha256 = new_key()
    roles = ", ".join(f'"{each}"' for each in role)
    lines = f'[{name}]\nsha256 = "{sha256}"\nroles = [{roles}]'
    if as_json:
        show_result({"key": key, "name": name, "sha256": sha256, "roles": role}, as_json)
        return
    screen.print("The key, which is not kept anywhere:", highlight=False)
    print(key)
    screen.print("For the file that api_keys_file names:", highlight=False)
    print(lines)


@app.command()
def shopper(
    user_id: Annotated[str, typer.Argument(help="The shopper who has logged in.")],
    as_json: Json = False,
) -> None:
    """Make a token by which a shopper asks about their own orders (`X-Shopper-Token`).

    It is signed with shopper_token_secret and valid for shopper_token_valid_s.

    Example: endcap keys shopper 1364
    """
    from endcap.deploy.opened_assistant import shopper_tokens
    from endcap.deploy.settings import load_settings

    settings = load_settings()
    tokens = shopper_tokens(settings)
    if tokens is None:
        raise EndcapError("Set ENDCAP_SHOPPER_TOKEN_SECRET, the same as the server's, first.")
    token = tokens.make(user_id)
    if as_json:
        valid_s = settings.shopper_token_valid_s
        show_result({"user_id": user_id, "token": token, "valid_s": valid_s}, as_json)
    else:
        print(token)
