"""The storefront in headless Chromium over the real stack, as a shopper uses it."""

import json
import os
import shutil
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit
from uuid import uuid4

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page, Playwright, expect, sync_playwright
from serve_process import ServeProcess
from shop_stack import REDUCED, ShopStack, purchases

from endcap.deploy.local_stack import LocalStack
from endcap.deploy.settings import DEMO_BUNDLE

CHROMIUM = shutil.which("chromium")
HOUSEHOLD = "70013"
DESKTOP = {"width": 1360, "height": 900}
PHONE = {"width": 390, "height": 844}
SMALL_PHONE = {"width": 320, "height": 640}
USUAL = ("1082185", "1029743", "995242")  # bananas and two kinds of milk
SLOW_MS = 30_000
RECOVERY_MS = 90_000
"""A broker that was killed starts anew, and the workers find it."""
PNG = os.environ.get("STOREFRONT_PNG")
"""Where the README's picture is wanted: STOREFRONT_PNG=docs/storefront.png make test ARGS=..."""

pytestmark = [
    pytest.mark.browser,
    pytest.mark.integration,
    pytest.mark.skipif(CHROMIUM is None, reason="chromium is missing: apt-get install chromium"),
]


@pytest.fixture(scope="module")
def shop(stack: LocalStack, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ShopStack]:
    running = ShopStack(stack, tmp_path_factory.mktemp("shop"))
    try:
        running.send(purchases(HOUSEHOLD, USUAL, times=5))
        running.until(lambda: HOUSEHOLD in running.get("/v1/shoppers"))
        yield running
    finally:
        running.close()


@pytest.fixture(scope="module")
def playwright(shop: ShopStack) -> Iterator[Playwright]:
    """After the shop: its event loop stays open in this thread."""
    assert shop.url
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
    """A page of its own; what it complains of, and whom it asks."""

    def __init__(self, browser: Browser, shop: ShopStack, url: str = "", **context: Any) -> None:
        """`url`: of another server over the same shop."""
        self.shop = shop
        self.url = url or shop.url
        self.context = browser.new_context(**{"viewport": DESKTOP, **context})
        self.page: Page = self.context.new_page()
        self.complaints: list[str] = []
        self.hosts: set[str] = set()
        self.page.on("pageerror", lambda error: self.complaints.append(str(error)))
        self.page.on("console", self._hear)
        self.page.on("request", lambda request: self.hosts.add(urlsplit(request.url).netloc))
        self.page.set_default_timeout(SLOW_MS)
        expect.set_options(timeout=SLOW_MS)

    def _hear(self, message: Any) -> None:
        if message.type in ("error", "warning"):
            self.complaints.append(message.text)

    def open(self, shopper: str = "", hash_: str = "") -> str:
        """Who is shopping, once their list is there."""
        shopper = shopper or f"visitor-{uuid4().hex[:8]}"
        self.page.goto(f"{self.url}/?shopper={shopper}{hash_}")
        expect(self.page.locator(f"html[data-ready='{shopper}']")).to_be_attached()
        expect(self.strip).not_to_have_count(0)
        return shopper

    @property
    def strip(self) -> Any:
        return self.page.locator("#strip li[data-item]")

    def ids(self) -> list[str]:
        """At one moment: a list may be replaced at any."""
        found: list[str] = self.strip.evaluate_all("rows => rows.map((row) => row.dataset.item)")
        return found

    def expect_own_list(self, version: int, timeout_ms: int = SLOW_MS) -> None:
        expect(
            self.page.locator(f".picks[data-source=own][data-version='{version}']")
        ).to_be_visible(timeout=timeout_ms)

    def close_in_outage(self) -> None:
        """The browser itself says of a call that it was answered by 503; the page complains of
        nothing."""
        self.context.close()
        assert [said for said in self.complaints if "503" not in said] == []


@pytest.fixture
def visit(browser: Browser, shop: ShopStack) -> Iterator[Visit]:
    made = Visit(browser, shop)
    yield made
    made.context.close()
    assert made.complaints == []
    assert made.hosts == {urlsplit(shop.url).netloc}


def test_a_click_changes_the_strip_and_each_product_says_why(visit: Visit) -> None:
    visit.open()
    expect(visit.page.locator("#picks-note")).to_contain_text("no list of your own yet")
    before = visit.ids()
    visit.strip.nth(2).locator("a.title").click()
    visit.expect_own_list(1)
    expect(visit.page.locator("#latency-what")).to_have_text("From your click to the new list:")
    assert visit.page.locator("#latency").inner_text().endswith(" ms")
    assert visit.ids() != before
    reasons = visit.strip.locator(".reason").all_inner_texts()
    assert len(reasons) == len(visit.ids())
    assert all(reasons)
    expect(visit.page.locator("main h1")).to_be_focused()


def test_who_comes_for_the_first_time_is_a_new_visitor(visit: Visit) -> None:
    visit.page.goto(visit.shop.url)
    expect(visit.page.locator("html[data-ready^='visitor-']")).to_be_attached()
    expect(visit.page.locator("#shopper option:checked")).to_contain_text("New visitor")
    expect(
        visit.page.locator(".picks:is([data-source=trending], [data-source=now])")
    ).to_be_visible()
    known = visit.page.locator(f"#shopper option[value='{HOUSEHOLD}']")
    expect(known).to_contain_text(" events")
    shopper = visit.page.locator("html").get_attribute("data-ready")
    visit.page.goto(visit.shop.url)  # and stays the same one
    expect(visit.page.locator(f"html[data-ready='{shopper}']")).to_be_attached()


def test_the_page_says_what_the_list_followed_and_whether_it_changed(visit: Visit) -> None:
    visit.open()
    page = visit.page
    visit.strip.nth(0).locator(".add").click()
    visit.expect_own_list(1)
    what, note = page.locator("#latency-what"), page.locator("#latency-note")
    expect(what).to_have_text("From putting it into the basket to the new list:")
    expect(note).to_have_text("")
    before = visit.ids()
    page.locator("#words").fill("frozen pizza")
    page.keyboard.press("Enter")
    visit.expect_own_list(2)
    expect(what).to_have_text("From your search to the new list:")
    assert visit.ids() == before
    expect(note).to_contain_text("The same picks as before.")
    expect(page.locator("#made-of")).to_contain_text("Made from 2 events by the model")


def test_the_strip_is_turned_by_whole_windows(visit: Visit) -> None:
    visit.open(HOUSEHOLD)
    note, on = visit.page.locator("#turn-note"), visit.page.locator("#turn-on")
    count = len(visit.ids())
    expect(note).to_have_text(f"1–6 of {count}")
    expect(visit.page.locator("#turn-back")).to_be_disabled()
    on.click()
    expect(note).to_have_text(f"7–12 of {count}")
    expect(visit.strip.nth(6).locator("a.title")).to_be_in_viewport(ratio=1)
    expect(visit.strip.nth(0)).not_to_be_in_viewport()
    visit.page.locator("#turn-back").click()
    expect(note).to_have_text(f"1–6 of {count}")


def test_products_of_one_name_are_told_apart(visit: Visit) -> None:
    visit.open(hash_="#/category/Fluid%20Milk%20Products")
    cards = visit.page.locator("main .card")
    expect(cards).to_have_count(24)
    expect(cards.filter(has_text="1029743")).to_contain_text("Store brand · No.")
    links = visit.page.locator("main .card a.title").all_text_contents()
    assert len(set(links)) == len(links)
    buttons = visit.page.locator("main .card .add")
    labels = [button.get_attribute("aria-label") for button in buttons.all()]
    assert len(set(labels)) == len(labels)


def test_a_household_is_known_by_what_it_buys(visit: Visit) -> None:
    visit.open()
    visit.page.locator("#shopper").select_option(HOUSEHOLD)
    visit.expect_own_list(5)
    reasons = " ".join(visit.strip.locator(".reason").all_inner_texts())
    assert "You bought this 5 times" in reasons
    if PNG:
        picture(visit, Path(PNG))


def picture(visit: Visit, path: Path) -> None:
    for version, place in ((6, 4), (7, 3)):
        visit.strip.nth(place).locator("a.title").click()
        visit.expect_own_list(version)
    visit.page.locator(".brand").click()
    expect(visit.page.locator(".doors-in a")).to_have_count(12)
    expect(visit.page.locator("#said.shown")).to_have_count(0)
    visit.page.screenshot(path=path, animations="disabled")
    assert path.stat().st_size < 300_000


def test_a_purchase_leaves_the_strip_and_the_basket(visit: Visit) -> None:
    visit.open()
    product = visit.ids()[1]
    visit.strip.nth(1).locator(".add").click()
    visit.expect_own_list(1)
    assert product not in visit.ids()
    visit.page.locator("#open-basket").click()
    basket = visit.page.locator("#basket")
    expect(basket.locator("[data-line]")).to_have_count(1)
    basket.get_by_role("button", name="more").click()
    visit.expect_own_list(2)
    price = next(item.price for item in visit.shop.items if item.item_id == product)
    expect(visit.page.locator("#basket-total")).to_have_text(f"${2 * (price or 0):.2f}")
    basket.get_by_role("button", name="Buy now").click()
    visit.expect_own_list(3)
    expect(basket.locator("#basket-note")).to_contain_text("Thank you")
    expect(visit.page.locator("#basket-count")).to_have_text("0")
    assert product not in visit.ids()


def test_a_reduced_product_shows_both_prices(visit: Visit) -> None:
    visit.open(hash_=f"#/item/{REDUCED}")
    price = visit.page.locator(".product .price")
    now = next(item.price for item in visit.shop.items if item.item_id == REDUCED)
    assert now is not None
    expect(price.locator("s")).to_contain_text(f"${now + 1:.2f}")
    expect(price.locator("b")).to_contain_text(f"${now:.2f}")


def test_words_become_products_and_what_is_missing_is_said(visit: Visit) -> None:
    visit.open()
    page = visit.page
    page.locator("#words").fill("I bought milk, some bananna and a laptop.")
    page.keyboard.press("Enter")
    understood = page.get_by_role("region", name="What was understood")
    expect(understood.locator(".chip")).to_have_text(["milk", "banana"])
    expect(understood).to_contain_text("The catalogue has nothing like “laptop”.")
    goes_with = page.locator("main > .grid .card")
    expect(goes_with).to_have_count(12)
    assert all(goes_with.locator(".reason").all_inner_texts())
    page.locator("#words").fill("something for a birthday cake")
    page.keyboard.press("Enter")
    expect(understood.locator(".chip")).to_have_text(["birthday cake"])
    page.locator("#words").fill("I bought a laptop, a mouse, and a keyboard.")
    page.keyboard.press("Enter")
    said = "nothing like “laptop”, “mouse”, “keyboard”"
    expect(page.locator("main .nothing")).to_contain_text(said)
    page.locator("#words").fill("frozen pizza")
    page.keyboard.press("Enter")
    expect(page.locator("main .count")).to_contain_text("products")
    for title in page.locator("main .card").all_inner_texts():
        assert "pizza" in title.lower()


def test_what_is_known_can_be_taken_away_and_erased(visit: Visit) -> None:
    shopper = visit.open()
    page = visit.page
    visit.strip.nth(0).locator(".add").click()
    visit.expect_own_list(1)
    page.locator("#open-about").click()
    about = page.locator("#about")
    expect(about.locator(".deeds li")).not_to_have_count(0)
    expect(about).to_contain_text(shopper)
    with page.expect_download() as download:
        about.get_by_role("link", name="Export").click()
    exported = json.loads(Path(download.value.path()).read_text())
    assert exported["user_id"] == shopper
    assert exported["session"]["events_folded"] == 1
    about.get_by_role("button", name="Erase all of it").click()
    about.get_by_role("button", name="Yes, erase").click()
    expect(about).to_contain_text("Nothing.")
    expect(about).to_contain_text("Receipt")
    expect(page.locator(".picks[data-source=trending]")).to_be_visible()
    expect(page.locator("#basket-count")).to_have_text("0")
    assert visit.shop.get(f"/shop/known/{shopper}") == {"known": False, "cart": []}


def test_the_keyboard_alone_suffices(visit: Visit) -> None:
    visit.open()
    page = visit.page
    page.keyboard.press("Tab")
    expect(page.locator("#skip")).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.locator("#main")).to_be_focused()
    page.locator("#skip").focus()
    reached = tab_until(page, "#strip li:first-child a.title")
    assert {"words", "shopper", "open-about", "open-basket"} <= reached
    page.keyboard.press("Enter")
    visit.expect_own_list(1)
    expect(page.locator("main h1")).to_be_focused()
    tab_until(page, "#put")
    page.keyboard.press("Enter")
    visit.expect_own_list(2)
    page.locator("#open-basket").focus()
    page.keyboard.press("Enter")
    tab_until(page, "#checkout")
    page.keyboard.press("Enter")
    visit.expect_own_list(3)
    page.keyboard.press("Escape")
    expect(page.locator("#basket")).not_to_be_visible()
    expect(page.locator("#open-basket")).to_be_focused()


def tab_until(page: Page, selector: str) -> set[str]:
    """The ids of what had the focus on the way."""
    passed = set[str]()
    for _ in range(60):
        page.keyboard.press("Tab")
        here = page.evaluate("document.activeElement.id")
        passed.add(str(here))
        if page.evaluate("s => document.activeElement.matches(s)", selector):
            return passed
    raise AssertionError(f"{selector} is not reached by the Tab key")


@pytest.mark.parametrize(
    ("scheme", "only"),
    [
        ("light", {"type": "tag", "values": ["wcag2a", "wcag2aa", "wcag21aa", "best-practice"]}),
        ("dark", {"type": "rule", "values": ["color-contrast"]}),
    ],
)
def test_axe_finds_nothing_in_any_view(
    browser: Browser, shop: ShopStack, scheme: str, only: dict[str, Any]
) -> None:
    visit = Visit(browser, shop, color_scheme=scheme, reduced_motion="reduce")
    # The whole page once; of the other views what differs.
    views = {"": "html", f"#/item/{REDUCED}": "main", "#/search/milk%20and%20a%20laptop": "main"}
    for view, part in views.items():
        visit.open(HOUSEHOLD, view)
        expect(visit.page.locator("main:not([aria-busy]) h1")).to_be_visible()
        assert violations(visit.page, part, only) == [], view
    visit.strip.nth(0).locator(".add").click()
    for panel in ("#basket", "#about"):
        visit.page.locator(panel.replace("#", "#open-")).click()
        expect(visit.page.locator(f"{panel} li").first).to_be_visible()
        assert violations(visit.page, panel, only) == [], panel
        visit.page.keyboard.press("Escape")
    visit.context.close()
    assert visit.complaints == []


def violations(page: Page, part: str, only: dict[str, Any]) -> list[str]:
    options = {"runOnly": only, "resultTypes": ["violations"]}
    found = Axe().run(page, part, options).response["violations"]
    return [f"{each['id']}: {node['html'][:120]}" for each in found for node in each["nodes"]]


def test_a_phone_has_one_column_and_targets_for_thumbs(browser: Browser, shop: ShopStack) -> None:
    visit = Visit(browser, shop, viewport=PHONE, has_touch=True, is_mobile=True)
    page = visit.page
    visit.open(hash_="#/category/Cheese")
    cards = page.locator("main .card")
    expect(cards).to_have_count(24)
    assert page.evaluate("document.documentElement.scrollWidth") <= PHONE["width"]
    lefts = {round(card.bounding_box()["x"]) for card in cards.all()[:6]}
    assert len(lefts) == 1
    small = page.evaluate(
        "[...document.querySelectorAll('button, select, input, summary, .pager a')]"
        ".filter((e) => e.checkVisibility() && e.getBoundingClientRect().height < 44)"
        ".map((e) => e.outerHTML.slice(0, 80))"
    )
    assert small == []
    cards.nth(0).locator(".add").tap()
    visit.expect_own_list(1)
    page.set_viewport_size(SMALL_PHONE)
    page.locator(".brand").tap()
    expect(page.locator(".doors-in a")).to_have_count(12)
    assert page.evaluate("document.documentElement.scrollWidth") <= SMALL_PHONE["width"]
    visit.context.close()
    assert visit.complaints == []


def test_without_a_rescorer_the_page_says_so_and_recovers(visit: Visit) -> None:
    visit.open()
    visit.shop.freeze("rescore")
    try:
        visit.strip.nth(0).locator("a.title").click()
        note = visit.page.locator("#picks-note")
        expect(note).to_contain_text("the recommender may be stopped. You see what many buy.")
        assert visit.ids()
    finally:
        visit.shop.thaw("rescore")
    visit.expect_own_list(1)


def test_after_redis_was_restarted_lists_come_again(visit: Visit, browser: Browser) -> None:
    visit.open()
    visit.strip.nth(0).locator("a.title").click()
    visit.expect_own_list(1)
    note = visit.page.locator("#picks-note")
    visit.shop.until(lambda: visit.shop.get("/readyz")["kept"])
    visit.shop.valkey.stop()
    try:
        expect(note).to_contain_text("Live updates are interrupted")
        assert visit.ids()
        newcomer = Visit(browser, visit.shop)
        newcomer.open()
        expect(newcomer.page.locator(".picks[data-source=kept]")).to_be_visible()
        expect(newcomer.page.locator("#picks-note")).to_contain_text("interrupted")
        newcomer.close_in_outage()
    finally:
        visit.shop.valkey.start()
    expect(note).not_to_contain_text("interrupted")
    # Redis is empty now: what was kept is shown, until trends are written again.
    fallback = ".picks:is([data-source=kept], [data-source=trending])"
    expect(visit.page.locator(fallback)).to_be_visible()
    visit.strip.nth(0).locator(".add").click()
    visit.expect_own_list(2)


def test_without_a_model_words_are_told_so_until_it_is_there(
    browser: Browser, shop: ShopStack, tmp_path: Path
) -> None:
    bundle = tmp_path / "bundle"
    settings = {"ENDCAP_BUNDLE": str(bundle), "ENDCAP_DATA_DIR": str(tmp_path)}
    server = ServeProcess(tmp_path, shop.environment | settings)
    visit = Visit(browser, shop, server.url)
    page = visit.page
    try:
        visit.open()
        page.locator("#words").fill("I bought milk and a banana.")
        page.keyboard.press("Enter")
        expect(page.locator("main .nothing")).to_contain_text("This server has no model yet")
        bundle.symlink_to(DEMO_BUNDLE)
        understood = page.get_by_role("region", name="What was understood")
        deadline = time.monotonic() + SLOW_MS / 1000
        while not understood.is_visible():
            assert time.monotonic() < deadline
            page.reload()
            expect(page.locator("main:not([aria-busy]) h1")).to_be_visible()
        expect(understood.locator(".chip")).to_have_text(["milk", "banana"])
        visit.context.close()
        assert visit.complaints == []
    finally:
        server.child.stop()


@pytest.mark.timeout(300)  # a broker is started
def test_without_kafka_what_is_done_is_kept_and_sent_when_it_is_back(
    browser: Browser, shop: ShopStack, stack: LocalStack
) -> None:
    visit = Visit(browser, shop)
    shopper = visit.open()
    visit.strip.nth(0).locator("a.title").click()
    visit.expect_own_list(1)
    note = visit.page.locator("#picks-note")
    stack.kill_kafka()
    try:
        visit.strip.nth(1).locator(".add").click()
        expect(note).to_contain_text("The shop takes nothing in right now.")
        expect(visit.page.locator("#said")).to_contain_text("kept in this page")
        visit.open(shopper)  # a page that is opened anew has the list, the basket, and what waits
        visit.expect_own_list(1)
        expect(visit.page.locator("#basket-count")).to_have_text("1")
        expect(note).to_contain_text("The shop takes nothing in right now.")
        visit.page.locator("#open-basket").click()
        visit.page.locator("#basket").get_by_role("button", name="Buy now").click()
        expect(visit.page.locator("#basket-note")).to_contain_text("takes no orders right now")
        visit.page.keyboard.press("Escape")
    finally:
        stack.revive_kafka()
    visit.expect_own_list(3, RECOVERY_MS)
    expect(note).to_contain_text("From what you looked at and bought.")
    visit.strip.nth(0).locator("a.title").click()
    visit.expect_own_list(4, RECOVERY_MS)
    visit.close_in_outage()
