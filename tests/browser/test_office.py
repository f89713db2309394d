"""The back office in headless Chromium over real Kafka and Valkey, as an operator uses it."""

import asyncio
import json
import shutil
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import pytest
from axe_playwright_python.sync_playwright import Axe
from command_line import settings_for
from made_up_weeks import made_up_weeks
from playwright.sync_api import Browser, Page, Playwright, expect, sync_playwright
from serve_process import ServeProcess

from endcap.catalogue import CatalogueItem, encode_item
from endcap.deploy.campaign_files import publish
from endcap.deploy.local_stack import LocalStack
from endcap.deploy.settings import load_settings
from endcap.marketing.assignment import Contact
from endcap.pricing.evidence_file import write_evidence
from endcap.pricing.panel import Item, panel_of
from endcap.pricing.substitutes import substitution
from endcap.pricing.suggest import gather_evidence
from endcap.segments import Affinity, Segment
from endcap.serving.api_keys import new_key
from endcap.serving.segment_store import SegmentStore
from endcap.streams.clients import create_topics, started_producer, stop_producer
from endcap.streams.price_topic import catalogue_prices
from endcap.topics import topics_with_prefix

CHROMIUM = shutil.which("chromium")
SLOW_MS = 30_000
PANELS = ("prices", "segments", "conversations", "status")
DAY_MS = 86_400_000
EXPERIMENT = """experiments:
  - name: fewer
    start: 2026-01-01
    end: 2036-01-01
    variants:
      - {name: control, share: 0.5}
      - {name: few, share: 0.5, policy: {size: 8}}
"""

pytestmark = [
    pytest.mark.browser,
    pytest.mark.integration,
    pytest.mark.skipif(CHROMIUM is None, reason="chromium is missing: apt-get install chromium"),
]


class OfficeStack:
    """A server with an office, over topics of its own; nothing is learned yet."""

    def __init__(self, stack: LocalStack, folder: Path) -> None:
        self.broker = stack.bootstrap_servers
        prefix = f"t{uuid4().hex[:8]}"
        self.topics = topics_with_prefix(prefix)
        self.folder = folder
        self.evidence = folder / "prices.npz"
        self.settings = settings_for(stack, prefix) | {
            "ENDCAP_HTTP_OFFICE": "true",
            "ENDCAP_ASSISTANT": "true",
            "ENDCAP_SHOPPER_TOKEN_SECRET": "a-secret-of-the-tests-alone",
            "ENDCAP_DATA_DIR": str(folder),
        }
        self.redis_url = stack.redis_url
        self.household = f"h{uuid4().hex[:8]}"
        panel = panel_of(made_up_weeks(items=8, weeks=30))
        self.made = gather_evidence(panel, substitution(panel))
        (folder / "experiments.yaml").write_text(EXPERIMENT)
        asyncio.run(self._publish(panel.items))
        contacts = [
            Contact("winter", f"u{n}", is_held_out=n == 0, expected_uplift=2.0, cost=0.5)
            for n in range(4)
        ]
        publish(
            load_settings(
                kafka_bootstrap_servers=self.broker,
                redis_url=self.redis_url,
                topic_prefix=prefix,
            ),
            contacts,
            int(time.time() * 1000),
        )
        self.server = ServeProcess(folder, self.settings)
        self.url = self.server.url

    def prices(self) -> dict[str, float]:
        """What the catalogue says now. Not on this thread: Playwright's loop runs on it."""
        with ThreadPoolExecutor(1) as pool:
            return pool.submit(asyncio.run, catalogue_prices(self.broker, self.topics)).result()

    def until(self, reached: Callable[[dict[str, float]], bool]) -> None:
        """Prices become so: readers see a transaction a moment after it was committed."""
        deadline = time.monotonic() + 30
        while not reached(self.prices()):
            assert time.monotonic() < deadline, "prices did not become so within 30 s"

    async def _publish(self, items: tuple[Item, ...]) -> None:
        await create_topics(self.broker, self.topics, 1)
        producer = await started_producer(self.broker)
        for item, price in zip(items, self.made.today, strict=True):
            made = CatalogueItem(item.item_id, item.title, item.category, price=float(price))
            await producer.send_and_wait(
                self.topics.catalogue.name, encode_item(made), key=item.item_id.encode()
            )
        await stop_producer(producer)
        store = SegmentStore(self.redis_url)
        now_ms = int(time.time() * 1000)
        await store.write({self.household: segment(now_ms)})
        await store.close()


def segment(now_ms: int) -> Segment:
    """Of somebody who came as usual two days ago."""
    return Segment(
        *(1, now_ms, 12, now_ms - 80 * DAY_MS, now_ms - 2 * DAY_MS),
        *(402.5, 33.5, 4.1, 0.03, 1490.2, "high"),
        *(now_ms + 10 * DAY_MS, now_ms + 30 * DAY_MS, 0.51, False),
        (Affinity("Fluid Milk Products", 0.11),),
        (Affinity("National", 0.7),),
    )


@pytest.fixture(scope="module")
def office(stack: LocalStack, tmp_path_factory: pytest.TempPathFactory) -> Iterator[OfficeStack]:
    running = OfficeStack(stack, tmp_path_factory.mktemp("office"))
    yield running
    running.server.child.stop()


@pytest.fixture(scope="module")
def playwright(office: OfficeStack) -> Iterator[Playwright]:
    """After the stack: its event loop stays open in this thread."""
    assert office.url
    with sync_playwright() as running:
        yield running


@pytest.fixture(scope="module")
def browser(playwright: Playwright) -> Iterator[Browser]:
    launched = playwright.chromium.launch(
        executable_path=CHROMIUM,
        args=["--no-sandbox", "--disable-gpu", "--disable-background-networking"],
    )
    yield launched
    launched.close()


class Visit:
    """A page of the office, and what it complains of."""

    def __init__(self, browser: Browser, url: str, **context: Any) -> None:
        self.url = url
        self.context = browser.new_context(**context)
        self.page: Page = self.context.new_page()
        self.complaints: list[str] = []
        self.page.on("pageerror", lambda error: self.complaints.append(str(error)))
        self.page.on("console", self._hear)
        self.page.set_default_timeout(SLOW_MS)
        expect.set_options(timeout=SLOW_MS)

    def _hear(self, message: Any) -> None:
        if message.type in ("error", "warning"):
            self.complaints.append(message.text)

    def open(self, panel: str) -> Page:
        self.page.goto(f"{self.url}/office#/{panel}")
        expect(self.page.locator(f"html[data-ready='{panel}']")).to_be_attached()
        return self.page

    def close(self) -> None:
        self.context.close()


def test_an_operator_walks_through_the_office(browser: Browser, office: OfficeStack) -> None:
    office.evidence.unlink(missing_ok=True)
    visit = Visit(browser, office.url)
    page = visit.open("prices")
    expect(page.locator("main .notice")).to_contain_text("There is no price evidence yet")
    write_evidence(office.evidence, office.made)
    # It looks again by itself.
    expect(page.locator("#category")).to_have_value("COFFEE")

    page.locator("#show-evidence").click()
    table = page.get_by_role("region", name="Elasticities of COFFEE")
    expect(table.locator("tbody tr")).to_have_count(5)
    expect(table.locator("tbody tr").nth(0)).to_contain_text("Mean of")

    before = office.prices()
    page.locator("#suggest").click()
    table = page.get_by_role("region", name="Prices of COFFEE")
    expect(table.locator("tbody tr")).to_have_count(4)
    expect(page.locator("#results .cards")).to_contain_text("Gain in margin")
    page.locator("#propose").click()
    expect(page.locator("#said")).to_contain_text("Write your name first")
    page.locator("#who").fill("ann")
    page.locator("#propose").click()
    waiting = page.locator("#proposals [data-status=proposed]")
    expect(waiting).to_contain_text("proposed by ann")
    assert office.prices() == before
    page.locator("#who").fill("ben")
    waiting.get_by_role("button", name="Approve").click()
    approved = page.locator("#proposals [data-status=approved]")
    expect(approved).to_contain_text("approved by ben")
    office.until(lambda now: now != before)
    approved.get_by_role("button", name="Roll back").click()
    expect(page.locator("#proposals [data-status=rolled_back]")).to_be_visible()
    office.until(lambda now: now == before)

    page.get_by_role("link", name="Segments").click()
    expect(page.locator("main h1")).to_be_focused()
    states = page.locator("main section").filter(has_text="Shoppers by state")
    expect(states).to_contain_text("active: comes as usual")
    page.locator("#shopper").fill(office.household)
    page.get_by_role("button", name="Show").click()
    expect(page.locator("#segment")).to_contain_text("$1490.20")
    expect(page.locator("#segment")).to_contain_text("active")
    page.locator("#shopper").fill("nobody")
    page.get_by_role("button", name="Show").click()
    expect(page.locator("#segment")).to_contain_text("There is no segment of this shopper")
    winter = page.get_by_role("region", name="Planned contacts").locator("tbody tr")
    expect(winter).to_contain_text("winter31$6.00$1.50")  # one of four is held out

    for question in ("How long can I return something?", "I want to talk to a person, please"):
        ask(office.url, question)
    page.get_by_role("link", name="Conversations").click()
    handed = page.locator("#hand-overs .item")
    expect(handed.locator("h3")).to_have_text("I want to talk to a person, please")
    answered = page.locator("#answered .item").filter(has_text="How long can I return")
    answered.locator("summary").click()
    expect(answered.locator("li").first).to_contain_text("document en/returns.md#")

    page.get_by_role("link", name="Status").click()
    cards = page.locator("main .cards").nth(0)
    expect(cards).to_contain_text("completejourney")
    expect(page.get_by_role("region", name="Figures of the bundle")).to_contain_text("popularity")
    page.locator("[data-experiment=fewer]").get_by_role("button", name="Report").click()
    expect(page.get_by_role("region", name="Report of fewer")).to_contain_text("control")
    visit.close()
    assert visit.complaints == []


def test_a_shopper_asks_in_the_storefront(browser: Browser, office: OfficeStack) -> None:
    visit = Visit(browser, office.url, viewport={"width": 390, "height": 844})
    page = visit.page
    page.goto(f"{office.url}/?shopper=u1")
    page.get_by_role("button", name="Ask us").click()
    page.locator("#question").fill("How long can I return something?")
    page.keyboard.press("Enter")
    told = page.locator("#talk .told[data-kind=answer]")
    expect(told).to_contain_text("30 days")
    told.locator("summary").click()
    expect(told.locator("li").first).to_contain_text("Document en/returns.md#")
    # A token says who asks: without one it would ask for a login.
    page.locator("#question").fill("Where is my order?")
    page.keyboard.press("Enter")
    expect(page.locator("#talk .told")).to_have_count(3)
    expect(page.locator("#talk .told[data-kind=login]")).to_have_count(0)
    axe = Axe().run(page, "#ask", {"resultTypes": ["violations"]}).response["violations"]
    assert [each["id"] for each in axe] == []
    visit.close()
    # Nobody folds sessions here, so the rest of the shop hears 503 where it asks for one.
    assert [said for said in visit.complaints if "503" not in said] == []


def ask(url: str, question: str) -> None:
    answer = httpx.post(f"{url}/v1/assistant", json={"question": question}, timeout=60)
    assert answer.status_code == 200, answer.text


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing_and_a_phone_suffices(
    browser: Browser, office: OfficeStack, scheme: str
) -> None:
    write_evidence(office.evidence, office.made)
    size = {"width": 320, "height": 640} if scheme == "dark" else {"width": 1360, "height": 900}
    visit = Visit(browser, office.url, color_scheme=scheme, viewport=size, reduced_motion="reduce")
    tags = ["wcag2a", "wcag2aa", "wcag21aa", "best-practice"]
    options = {"runOnly": {"type": "tag", "values": tags}, "resultTypes": ["violations"]}
    for panel in PANELS:
        page = visit.open(panel)
        if panel == "prices":
            page.locator("#suggest").click()
            expect(page.locator("#results table")).to_be_visible()
        found = Axe().run(page, "html", options).response["violations"]
        said = [f"{e['id']}: {n['html'][:120]}" for e in found for n in e["nodes"]]
        assert said == [], panel
        assert page.evaluate("document.documentElement.scrollWidth") <= size["width"], panel
    visit.close()
    assert visit.complaints == []


def test_with_keys_the_page_asks_for_the_operators(
    browser: Browser, office: OfficeStack, tmp_path: Path
) -> None:
    key, sha256 = new_key()
    other, other_sha256 = new_key()
    keys = {
        "ann": {"sha256": sha256, "roles": ["operator"]},
        "web": {"sha256": other_sha256, "roles": ["reader"]},
    }
    settings = {
        "ENDCAP_API_KEYS": json.dumps(keys),
        "ENDCAP_ASSISTANT": "false",
        "ENDCAP_DATA_DIR": str(tmp_path),
    }
    server = ServeProcess(tmp_path, office.settings | settings)
    visit = Visit(browser, server.url)
    try:
        page = visit.open("status")
        expect(page.locator("main .notice")).to_contain_text("a key with the role operator")
        page.locator("#key").fill(other)
        page.get_by_role("button", name="Open the office").click()
        expect(page.locator("main .notice")).to_contain_text("has not the role operator")
        page.locator("#key").fill(key)
        page.get_by_role("button", name="Open the office").click()
        expect(page.locator("main .cards").nth(0)).to_contain_text("completejourney")
        page.reload()
        expect(page.locator("main .cards").nth(0)).to_contain_text("completejourney")
        page.locator("#forget-key").click()
        expect(page.locator("#key")).to_be_visible()
        assert status(f"{server.url}/office/data/conversations") == 401
    finally:
        visit.close()
        server.child.stop()
    assert [said for said in visit.complaints if "401" not in said and "403" not in said] == []


def test_what_cannot_be_done_is_refused_in_words(office: OfficeStack) -> None:
    write_evidence(office.evidence, office.made)
    at = f"{office.url}/office/data/prices"
    good = {"category": "COFFEE", "objective": "margin", "suggestion_id": "old", "who": "ann"}
    as_json = {"Content-Type": "application/json"}
    assert status(f"{at}/suggestions?category=BICYCLES") == 422
    assert status(f"{at}/proposals", good, {"Content-Type": "text/plain"}) == 415
    assert status(f"{at}/proposals", good | {"who": "\n"}, as_json) == 422
    assert status(f"{at}/proposals", good | {"user": "1364"}, as_json) == 422
    assert status(f"{at}/proposals", good, as_json) == 409  # other prices than were seen
    assert status(f"{at}/proposals/none", {"decision": "approved", "who": "ann"}, as_json) == 409
    assert status(f"{office.url}/office/data/experiments/none") == 422


def status(url: str, body: Any = None, headers: dict[str, str] | None = None) -> int:
    """How a route answers; where it refuses, it says why."""
    if body is None:
        answer = httpx.get(url, timeout=60)
    else:
        answer = httpx.post(url, content=json.dumps(body), headers=headers, timeout=60)
    assert answer.is_success or answer.json()["detail"]
    return answer.status_code
