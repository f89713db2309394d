"""What is on the dashboards: questions that operators ask, each answered by PromQL."""

from typing import NamedTuple


class Query(NamedTuple):
    """PromQL, and the name of what it draws."""

    promql: str
    legend: str = ""


class Panel(NamedTuple):
    """One picture. `says`: how to read it. `unit`: Grafana's name of it. `is_number`: the newest
    value alone, large. `width`: of 24 columns. `log`: a logarithmic scale."""

    title: str
    says: str
    unit: str
    queries: tuple[Query, ...]
    is_number: bool = False
    width: int = 12
    log: bool = False


class Board(NamedTuple):
    """A dashboard; its file is `endcap-<name>.json`."""

    name: str
    title: str
    says: str
    panels: tuple[Panel, ...]


def quantiles(histogram: str, *of: float, by: str = "", over: str = "5m") -> tuple[Query, ...]:
    """Quantiles of a histogram, of what was observed in the time `over`."""
    labels = f"le, {by}" if by else "le"
    return tuple(
        Query(
            f"histogram_quantile({q}, sum by ({labels}) (rate({histogram}_bucket[{over}])))",
            f"p{round(q * 100)}" + (f" {{{{{by}}}}}" if by else ""),
        )
        for q in of
    )


def rate(counter: str, by: str = "") -> Query:
    """A counter's rate a second over five minutes."""
    inner = f"rate({counter}[5m])"
    if not by:
        return Query(f"sum({inner})")
    return Query(f"sum by ({by}) ({inner})", f"{{{{{by}}}}}")


def part(histogram: str, legend: str) -> Query:
    """The p99 of the last minute: of one step of a way, beside the others."""
    return Query(quantiles(histogram, 0.99, over="1m")[0].promql, legend)


def number(title: str, says: str, unit: str, promql: str, width: int = 6) -> Panel:
    """A large number."""
    return Panel(title, says, unit, (Query(promql),), is_number=True, width=width)
