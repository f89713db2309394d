"""The report in headless Chromium: its figures are those of report.json, and it stands alone."""

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from compared_rankers import found_in_small_shop

from endcap.export.report import write_report

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

CHROMIUM = shutil.which("chromium")
NUMBERS = {"gini", "novelty", "diversity"}

pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(CHROMIUM is None, reason="chromium is missing: apt-get install chromium"),
]


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_report(tmp_path_factory.mktemp("report"), found_in_small_shop())


@pytest.fixture(scope="module")
def browser() -> Iterator["Browser"]:
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=CHROMIUM,
            args=["--no-sandbox", "--disable-gpu", "--disable-background-networking"],
        )
        yield browser
        browser.close()


def opened(browser: "Browser", report: Path, width: int, scheme: str) -> tuple["Page", list[str]]:
    """The page, and what it complained of or asked the network for."""
    page = browser.new_page(viewport={"width": width, "height": 900}, color_scheme=scheme)
    troubles: list[str] = []
    page.on("console", lambda message: troubles.append(message.text))
    page.on("pageerror", lambda error: troubles.append(str(error)))
    page.on(
        "request",
        lambda sent: None if sent.url.startswith(("file:", "data:")) else troubles.append(sent.url),
    )
    page.goto(report.as_uri())
    return page, troubles


@pytest.mark.parametrize("table", ["rankers", "beyond", "accuracy"])
def test_the_figures_of_a_table_are_those_of_the_json(
    browser: "Browser", report: Path, table: str
) -> None:
    found = json.loads((report.parent / "report.json").read_text())
    measured = {"endcap": found["metrics"]} | found["opponents"]
    measured |= {figure["ranker"]: figure["metrics"] for figure in found["published"]}
    page, troubles = opened(browser, report, 1280, "light")
    seen = set()
    for row in page.locator(f"#{table} tr[data-ranker]").all():
        name = row.get_attribute("data-ranker") or ""
        for cell in row.locator("[data-measure]").all():
            measure = cell.get_attribute("data-measure") or ""
            value = measured[name][measure]
            shown = float(cell.inner_text()) / (1 if measure in NUMBERS else 100)
            assert shown == pytest.approx(value, abs=0.0051 if measure in NUMBERS else 0.000051)
            seen.add((name, measure))
    rankers = {name for name, _ in seen}
    assert {"endcap", "Later", "Popular"} <= rankers
    assert ("GCE-GNN" in rankers) == (table == "rankers")
    assert len(seen) >= 3 * 4
    assert troubles == []
    page.close()


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1280, 390])
def test_the_answer_is_in_the_first_screen_and_nothing_sticks_out(
    browser: "Browser", report: Path, width: int, scheme: str
) -> None:
    page, troubles = opened(browser, report, width, scheme)
    assert page.evaluate("document.documentElement.scrollWidth") == width
    tiles = page.locator(".tile b").all_inner_texts()
    assert len(tiles) == 4
    last = page.locator(".tile").last.bounding_box()
    assert last is not None
    assert last["y"] + last["height"] < 900
    assert page.locator("svg").count() == 7
    for picture in page.locator("svg").all():
        box = picture.bounding_box()
        assert box is not None
        assert box["width"] > 250
        assert box["x"] + box["width"] <= width
    assert troubles == []
    page.close()


def test_words_have_contrast_in_light_and_in_dark(browser: "Browser", report: Path) -> None:
    """WCAG 2.1 asks 4.5 to 1 of the words on their ground."""
    for scheme in ("light", "dark"):
        page, _ = opened(browser, report, 1280, scheme)
        for selector in ("header p", "tr.ours th", "tr.published th", ".tile span", "td i"):
            words, ground = page.evaluate(
                """selector => {
                    const one = document.querySelector(selector);
                    let under = one;
                    const transparent = 'rgba(0, 0, 0, 0)';
                    while (getComputedStyle(under).backgroundColor === transparent)
                        under = under.parentElement;
                    return [getComputedStyle(one).color, getComputedStyle(under).backgroundColor];
                }""",
                selector,
            )
            assert contrast(words, ground) >= 4.5, (scheme, selector, words, ground)
        page.close()


def contrast(one: str, other: str) -> float:
    first, second = sorted((luminance(one), luminance(other)))
    return (second + 0.05) / (first + 0.05)


def luminance(colour: str) -> float:
    parts = [float(p) / 255 for p in colour.removeprefix("rgb(").removesuffix(")").split(",")]
    linear = [p / 12.92 if p <= 0.04045 else ((p + 0.055) / 1.055) ** 2.4 for p in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]
