"""The storefront in headless Chromium over the real stack: a click changes the list."""

import os
import shutil
import subprocess
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

import pytest
from command_line import ENDCAP, settings_for

from endcap.deploy.local_stack import LocalStack
from endcap.deploy.local_stack.ports import free_ports

CHROMIUM = shutil.which("chromium")

pytestmark = [
    pytest.mark.browser,
    pytest.mark.integration,
    pytest.mark.skipif(CHROMIUM is None, reason="chromium is missing: apt-get install chromium"),
]


@pytest.fixture
def storefront(stack: LocalStack, tmp_path: Path) -> Iterator[str]:
    """The four processes as an operator starts them, on topics of their own."""
    port = free_ports(1)[0]
    environment = {
        **os.environ,
        **settings_for(stack, f"t{uuid4().hex[:8]}"),
        "ENDCAP_HTTP_PORT": str(port),
        "ENDCAP_DATA_DIR": str(tmp_path),
    }
    subprocess.run([*ENDCAP, "topics", "create"], env=environment, check=True)
    running = [
        subprocess.Popen([*ENDCAP, name], env=environment)
        for name in ("stream", "trends", "rescore", "serve")
    ]
    url = f"http://127.0.0.1:{port}"
    try:
        _wait_for(f"{url}/v1/trending", running)
        yield url
    finally:
        for process in running:
            process.terminate()
        for process in running:
            process.wait(timeout=30)


def _wait_for(url: str, running: list["subprocess.Popen[bytes]"]) -> None:
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        assert all(process.poll() is None for process in running), "a process ended early"
        try:
            with urllib.request.urlopen(url, timeout=2):  # noqa: S310
                return
        except OSError:
            time.sleep(0.1)  # between polls of a real condition, bounded by the deadline
    raise AssertionError(f"{url} did not answer within 60 s")


def test_a_click_becomes_an_event_and_changes_the_list(storefront: str, tmp_path: Path) -> None:
    from playwright.sync_api import expect, sync_playwright

    shopper = f"shopper-{uuid4().hex[:8]}"
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=CHROMIUM,
            args=["--no-sandbox", "--disable-gpu", "--disable-background-networking"],
        )
        page = browser.new_page(viewport={"width": 1280, "height": 900})
        errors: list[str] = []
        page.on("pageerror", lambda error: errors.append(str(error)))
        page.goto(f"{storefront}/?shopper={shopper}")
        cards = page.locator("#recommendations li[data-item]")
        expect(cards).to_have_count(20)
        expect(page.locator("#version")).to_have_text("0")  # nobody knows this shopper yet
        before = [card.get_attribute("data-item") for card in cards.all()]

        cards.nth(2).locator("button").click()
        expect(page.locator("#updated")).to_contain_text("list updated in", timeout=30_000)
        expect(page.locator("#version")).to_have_text("1")
        expect(page.locator("#session li")).not_to_have_count(0, timeout=10_000)
        after = [card.get_attribute("data-item") for card in cards.all()]
        assert after != before
        reasons = page.locator("#recommendations .reason").all_inner_texts()
        assert all(reasons)
        page.screenshot(path=tmp_path / "storefront.png")
        browser.close()
    assert errors == []
