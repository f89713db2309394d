"""`endcap rules`: check a file of rules, put it in force for a whole fleet, see what is and was."""

import asyncio
import getpass
import json
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

import typer

from endcap.counted import counted
from endcap.deploy import rules_words
from endcap.deploy.bundle_signatures import load_trusted
from endcap.deploy.printed import Json, screen
from endcap.deploy.settings import Settings, load_settings
from endcap.errors import EndcapError, SettingsError
from endcap.rules import DEFAULT_PLACEMENT, KnownNames, RuleSet, parse_rules, unknown_names
from endcap.yaml_lines import FileMistakesError, Mistake

if TYPE_CHECKING:
    from endcap.serving.rules_store import Applied, RulesStore

app = typer.Typer(no_args_is_help=True, help="What the shop wants of its lists: blocks, pins, ...")
File = Annotated[Path, typer.Argument(help="Rules in YAML; docs/rules.md has the form.")]
_T = TypeVar("_T")


@app.command()
def check(file: File, as_json: Json = False) -> None:
    """Say what a file of rules means, or all of its mistakes with their lines. Exit code 1 then.

    Names that the bundle's items or the settings do not have are told, and are no mistakes.

    Example: endcap rules check winter.yaml
    """
    settings = load_settings()
    text = _read(file)
    try:
        rules = parse_rules(text, str(file))
    except FileMistakesError as error:
        if as_json:
            print(json.dumps({"ok": False, "mistakes": _lines(error.mistakes)}))
        raise
    hints = _hints(rules, settings)
    if as_json:
        print(json.dumps({"ok": True} | _summary(rules) | {"unknown": _lines(hints)}))
        return
    _say(f"{file} has no mistakes. {rules_words.summary(rules)}")
    if rules.rules:
        screen.print(rules_words.table(rules))
    _say_unknown(hints)


@app.command()
def apply(
    file: File,
    who: Annotated[str, typer.Option(help="Who changes them: it stays in the log.")] = "",
    as_json: Json = False,
) -> None:
    """Put a file of rules in force, by Redis, for every process of the fleet.

    A file with a mistake is refused, and nothing is changed. An empty file lifts all rules.

    Example: endcap rules apply winter.yaml --who ann
    """
    settings = load_settings()
    text = _read(file)
    try:
        rules = parse_rules(text, str(file))
    except FileMistakesError as error:
        raise FileMistakesError(f"{file}: nothing was changed.", error.mistakes) from error
    name = (who or getpass.getuser()).strip()
    if not name or len(name) > 100 or not name.isprintable():
        raise SettingsError("--who takes a name of at most 100 letters.")
    applied = _with_store(settings, lambda store: store.apply(text, name))
    if as_json:
        print(json.dumps(_entry(applied) | _summary(rules)))
    else:
        _say(f"In force within a second, as version {applied.version}, applied by {applied.who}.")
        _say(rules_words.summary(rules))
    _say_unknown(_hints(rules, settings))
    if settings.rules_file is not None:
        _say(f"Processes with ENDCAP_RULES_FILE={settings.rules_file} follow that file, not this.")


@app.command()
def show(as_json: Json = False) -> None:
    """The rules in force: who applied them, when, and the file.

    Example: endcap rules show > now.yaml
    """
    settings = load_settings()
    if settings.rules_file is not None:
        text = _read(settings.rules_file)
        _print_rules({"file": str(settings.rules_file)}, text, as_json)
        return
    applied = _with_store(settings, lambda store: store.newest())
    if applied is None:
        raise EndcapError("No rules were applied yet: endcap rules apply FILE --who NAME")
    _print_rules(_entry(applied), applied.text, as_json)


@app.command("log")
def history(
    number: Annotated[int, typer.Option("-n", help="The newest so many.", min=1, max=1000)] = 20,
    as_json: Json = False,
) -> None:
    """Who applied rules and when, the newest first; the last thousand are kept.

    Example: endcap rules log -n 5

    Example: endcap rules log --json | jq -r '.entries[1].text' > before.yaml
    """
    entries = _with_store(load_settings(), lambda store: store.history(number))
    if as_json:
        print(json.dumps({"entries": [_entry(e) | {"text": e.text} for e in entries]}))
        return
    from rich.table import Table

    table = Table("when (UTC)", "who", "version", "rules")
    for entry in entries:
        try:
            said = counted(len(parse_rules(entry.text).rules), "rule")
        except EndcapError:
            said = "refused: it has mistakes"
        table.add_row(f"{_when(entry):%F %T}", entry.who, entry.version, said)
    screen.print(table)


def _with_store(settings: Settings, ask: "Callable[[RulesStore], Awaitable[_T]]") -> _T:
    async def asked() -> _T:
        from endcap.serving.rules_store import RulesStore  # other commands do not need redis

        store = RulesStore(settings.store)
        try:
            return await ask(store)
        finally:
            await store.close()

    return asyncio.run(asked())


def _read(file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8")
    except OSError as error:
        raise SettingsError(f"{file} cannot be read: {error.strerror}.") from error
    except UnicodeDecodeError as error:
        raise SettingsError(f"{file} is not UTF-8 ({error.reason}). Save it as UTF-8.") from error


def _say(line: str) -> None:
    screen.print(line, markup=False, highlight=False, soft_wrap=True)


def _say_unknown(hints: list[Mistake]) -> None:
    if hints:
        _say("No mistakes, but not known here:")
    for hint in hints:
        _say(f"  {hint}")


def known_placements(settings: Settings) -> frozenset[str]:
    """That of the lists in Redis, and those of `endcap serve`."""
    from endcap.serving.placements import parse_placements

    return frozenset(parse_placements(settings.placements)) | {DEFAULT_PLACEMENT}


def _hints(rules: RuleSet, settings: Settings) -> list[Mistake]:
    """What the bundle in use and the settings do not have; nothing where they cannot be read."""
    from endcap.deploy.models_file import read_models

    try:
        models = read_models(settings.models_path)
        bundle = load_trusted(
            Path(models.current.bundle) if models.current else settings.bundle, settings
        )
        placements = known_placements(settings)
    except EndcapError:
        return []
    named = KnownNames(
        frozenset(item.item_id for item in bundle.items),
        frozenset(item.category for item in bundle.items),
        frozenset(item.brand for item in bundle.items) - {""},
        placements,
    )
    return unknown_names(rules, named)


def _summary(rules: RuleSet) -> dict[str, Any]:
    counts = {
        action: sum(rule.action == action for rule in rules.rules)
        for action in ("block", "pin", "boost", "bury")
    }
    return {
        "rules": len(rules.rules),
        **counts,
        "placements": sorted(rules.placements),
        "already_bought": len(rules.waits_ms),
        "diversity": rules.mix.diversity or 0.0,
    }


def _entry(applied: "Applied") -> dict[str, Any]:
    return {"version": applied.version, "who": applied.who, "at": f"{_when(applied):%FT%TZ}"}


def _when(applied: "Applied") -> datetime:
    return datetime.fromtimestamp(applied.at_ms / 1000, UTC)


def _lines(mistakes: Any) -> list[dict[str, Any]]:
    return [mistake._asdict() for mistake in mistakes]


def _print_rules(said: dict[str, Any], text: str, as_json: bool) -> None:
    if as_json:
        print(json.dumps(said | {"text": text}))
        return
    screen.print(", ".join(f"{name}: {value}" for name, value in said.items()), highlight=False)
    print(text, end="" if text.endswith("\n") else "\n")
