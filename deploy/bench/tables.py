"""A benchmark's record as Markdown: what was found beside what is asked for."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from endcap.deploy.bench.record import Record

Found = Mapping[str, Any]


def table_of(record: Record, pictures: str) -> str:
    """Tables, the picture that belongs to them where its figures were taken, and the way to them.

    `pictures`: from the page to the folder that holds them.
    """
    return (
        "\n\n".join([*_TABLES[record.benchmark](record.found, pictures), _caption(record)]) + "\n"
    )


def _rescore(found: Found, pictures: str) -> list[str]:
    rows = [
        _at_least("times the padded graph", found["ratio_to_padded"], 5),
        _at_least("times the eager model in torch", found["ratio_to_torch"], 10),
        _at_least(
            "share of what the core's matrix product allows", found["fraction_of_flop_limit"], 0.35
        ),
        ("candidates to scores, shoppers/s of a core", _number(found["users_per_s_per_core"]), ""),
        ("session to list, shoppers/s of a core", _number(found["lists_per_s_per_core"]), ""),
    ]
    parts = [_table(("", "found", "asked for"), rows)]
    if found.get("by_batch"):
        sizes = [
            (
                _number(row["batch"]),
                _number(row["users_per_s_per_core"]),
                _number(row["padded_users_per_s_per_core"]),
            )
            for row in found["by_batch"]
        ]
        parts += [
            _table(("shoppers a batch", "ours, shoppers/s", "the padded graph"), sizes),
            f"![Shoppers a second against the size of a batch]({pictures}/batches.svg)",
        ]
    return parts


def _latency(found: Found, pictures: str) -> list[str]:
    rows = [("the floor", found["floor_ms"]["p50"], "", found["floor_ms"]["p99"], "", "", "")]
    for name, form in (
        ("`endcap stream --rescore`", found),
        ("`endcap stream` and `endcap rescore`", found["two_process"]),
    ):
        ratios = f"{form['p50_ratio_to_floor']:g} / {form['p99_ratio_to_floor']:g}"
        held = (form["p50_ms"], form["p90_ms"], form["p99_ms"], form["max_ms"])
        rows.append((name, *held, ratios, _number(form["lost"])))
    heads = ("", "p50, ms", "p90", "p99", "max", "to the floor, p50 / p99", "lost")
    met = found["p50_ratio_to_floor"] <= 2 and found["p99_ratio_to_floor"] <= 3
    verdict = "reached" if met and not found["lost"] else "**not reached**"
    shares = ", ".join(f"{part} {share:.0%}" for part, share in found["parts"].items())
    parts = [
        _table(heads, [tuple(_number(cell) for cell in row) for row in rows]),
        f"Asked of the first form: 2 / 3, none lost: {verdict}. {found['achieved_per_s']:g} of "
        f"{found['rate']:g} events/s were sent. Its mean of {found['mean_ms']:g} ms: {shares}.",
    ]
    if found.get("histogram"):
        parts.append(f"![How many events took how long]({pictures}/latency.svg)")
    return parts


def _catalogue(found: Found, _pictures: str) -> list[str]:
    rows = [
        (
            f"{row['items']:,}",
            row["way"],
            _number(row["requests_per_s"]),
            _number(row["p50_ms"]),
            _mark(_number(row["p90_ms"]), row["p90_ms"] <= 50),
            f"{row['recall_to_exact']:.3f}",
            _number(row["memory_mib"]),
        )
        for row in found["rows"]
    ]
    heads = ("items", "way", "requests/s", "p50, ms", "p90 (asked: 50)", "recall", "memory, MiB")
    return [_table(heads, rows)]


def _http(found: Found, _pictures: str) -> list[str]:
    asked = found["plan"]
    rows = [
        (
            f"ready lists at {asked['rate']:g}/s, p50 / p99, ms",
            _pair(found["ready_p50_ms"], found["ready_p99_ms"], 10),
            "p99 10",
        ),
        ("reached of that rate, /s", _number(found["achieved_per_s"]), ""),
        (
            f"on request at {asked['rescore_rate']:g}/s, p50 / p99, ms",
            _pair(found["rescore_p50_ms"], found["rescore_p99_ms"], 25),
            "p99 25",
        ),
        ("ready lists at most, /s", _number(found["ready_max_per_s"]), ""),
        _at_least("that over a constant by the same server", found["ready_ratio_to_empty"], 0.6),
        _at_least("lists straight from Redis, /s", found["redis_get_per_s"], 40_000),
    ]
    return [_table(("", "found", "asked for"), rows)]


_TABLES: Mapping[str, Callable[[Found, str], list[str]]] = {
    "rescore": _rescore,
    "latency": _latency,
    "catalogue": _catalogue,
    "http": _http,
}


def _caption(record: Record) -> str:
    machine = record.machine
    return (
        f"`{record.command}`, {record.date}, {machine.cores} cores of {machine.cpu}, "
        f"{machine.memory_gib:g} GiB, other processes took {record.others:g} cores meanwhile, "
        f"code {record.code}. "
        "What is bold misses what is asked for."
    )


def _at_least(name: str, value: float | None, asked: float) -> tuple[str, str, str]:
    if value is None:
        return (name, "not measured", f"{asked:,g}")
    return (name, _mark(_number(value), value >= asked), f"{asked:,g}")


def _pair(p50: float, p99: float, at_most: float) -> str:
    return f"{_number(p50)} / {_mark(_number(p99), p99 <= at_most)}"


def _mark(shown: str, reached: bool) -> str:
    return shown if reached else f"**{shown}**"


def _number(value: object) -> str:
    if isinstance(value, float):
        return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.4g}"
    return f"{value:,}" if isinstance(value, int) else str(value)


def _table(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [heads, ["---"] * len(heads), *rows]
    return "\n".join(
        f"|{'|'.join(f' {cell} ' if cell else ' ' for cell in cells)}|" for cells in lines
    )
