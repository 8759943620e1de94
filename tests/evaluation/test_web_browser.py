"""The pages in a real browser: by keys and by fingers, with and without a network."""

from __future__ import annotations

import re
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

import pytest

from tests.evaluation.browser import CHROMIUM, Tab, chromium
from tests.evaluation.web_bench import WebBench, listening, pictured, record_videos
from unichunk.server.evaluation.ledger import commands as c
from unichunk.server.evaluation.ledger.trial import TrialState

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from playwright.sync_api import Browser, Page, Route

pytestmark = [
    pytest.mark.skipif(CHROMIUM is None, reason="needs Chromium: apt install chromium"),
]

LEFT, RIGHT = "so101-left", "so101-right"
TABLET, UPRIGHT, PHONE = (1024, 768), (768, 1024), (390, 844)
HOME_MS = 650
"""Longer than the page takes to trust a key that starts a robot, see START_GUARD_MS in trial.js."""

JUDGE_MS = 400
"""Longer than it takes to trust the second press of a judgement, see GUARD_MS in score_panel.js."""


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as browser:
        yield browser


@pytest.fixture
def web(tmp_path: Path) -> Iterator[WebBench]:
    made = pictured(layouts=("cup left", "cup right", "cup far"), trials_per_cell=2)
    web = WebBench.make(tmp_path / "campaign", made, going=True, secure=False)
    yield web
    web.close()


@pytest.fixture
def enter(web: WebBench, browser: Browser) -> Iterator[Callable[..., Tab]]:
    """Opens pages of people; in the end no browser has complained."""
    with ExitStack() as stack:
        address = stack.enter_context(listening(web))
        tabs: list[Tab] = []

        def enter(name: str, **options: Any) -> Tab:
            tab = Tab.open(browser, address, name, **options)
            stack.callback(tab.context.close)
            tabs.append(tab)
            return tab

        yield enter
        assert [fault for tab in tabs for fault in tab.faults] == []


def taken(tab: Tab, robot: str = LEFT) -> str:
    """Take the next trial; its id."""
    tab.page.click(f"#go-{robot}")
    tab.state("leased")
    return tab.page.url.rsplit("/", 1)[1]


def driving(tab: Tab, robot: str = LEFT) -> str:
    """Take a trial and start it."""
    trial = taken(tab, robot)
    tab.page.click("#arm")
    tab.state("armed")
    tab.page.wait_for_selector("#start:not(:disabled)")
    tab.page.click("#start")
    tab.state("running")
    return trial


def given(web: WebBench, kind: type[c.Command]) -> list[Any]:
    return [one for one in web.bench.commands() if isinstance(one, kind)]


def lose_answers(page: Page, pattern: str) -> list[str]:
    """The server gets what is sent, and the answers are lost; the keys that were sent."""
    keys: list[str] = []

    def lose(route: Route) -> None:
        keys.append(route.request.headers["idempotency-key"])
        route.fetch()
        route.abort("connectionreset")

    page.route(pattern, lose)
    return keys


def test_a_trial_by_keys(web: WebBench, enter: Callable[..., Tab]) -> None:
    web.bench.robots.robots[RIGHT].connected = False
    tab = enter("ann")
    tab.page.wait_for_selector(f"#go-{RIGHT}:disabled")
    tab.press("n")
    tab.state("leased")
    trial = tab.page.url.rsplit("/", 1)[1]
    tab.page.wait_for_selector("#arm:not(:disabled)")
    # Not yet: a space before the robot is home starts nothing.
    tab.press("Space", "a")
    tab.state("armed")
    tab.page.wait_for_selector("#start:not(:disabled)")
    tab.page.wait_for_timeout(HOME_MS)
    tab.press("Space")
    tab.state("running")
    tab.page.wait_for_function("() => document.querySelector('[data-clock=elapsed]').textContent > '0:00.3'")
    tab.press("Space")
    tab.state("awaiting score")
    tab.press("1", "3", "3", "s")
    assert tab.page.inner_text(".chosen").split("\n")[-1] == "1 of 3 sub-tasks"
    # Enter at once would be a finger that bounced.
    tab.press("Enter", "Escape", "f")
    tab.page.wait_for_timeout(JUDGE_MS)
    tab.press("Enter")
    tab.state("scored")
    tab.says("#afterwards", "which policy")
    tab.says("#strip output", "Connected, all recorded")
    score = web.bench.trial(trial).score
    assert score is not None
    assert (score.success, score.rubric) == (False, (True, False, False))
    tab.page.click("text=policy 1")
    tab.page.wait_for_function("() => !document.querySelector('#afterwards').textContent.includes('which policy')")
    assert [one.policy for one in given(web, c.Guess)] == ["policy 1"]
    tab.page.wait_for_selector("#next:not(:disabled)")
    tab.press("n")
    tab.state("leased")
    assert not tab.page.url.endswith(trial)
    # A void takes its reason and Enter.
    tab.press("v", "Enter")
    tab.says("#void-why", "Say why")
    tab.press("2", "Enter")
    tab.state("void")
    tab.says("#strip output", "Connected, all recorded")
    assert [one.reason for one in given(web, c.Void)] == ["Somebody was in the way"]


def test_a_trial_by_fingers(web: WebBench, enter: Callable[..., Tab]) -> None:
    tab = enter("ann", viewport={"width": PHONE[0], "height": PHONE[1]}, has_touch=True, is_mobile=True)
    page = tab.page
    page.tap(f"#go-{LEFT}")
    tab.state("leased")
    page.tap("#arm")
    tab.state("armed")
    page.wait_for_selector("#start:not(:disabled)")
    page.tap("#start")
    tab.state("running")
    page.tap("#stop")
    tab.state("awaiting score")
    spot = page.locator("[data-success=yes]").bounding_box()
    assert spot is not None
    place = (spot["x"] + spot["width"] / 2, spot["y"] + spot["height"] / 2)
    for _ in range(2):
        # Twice on the same place records nothing, wherever it is.
        page.touchscreen.tap(*place)
        page.touchscreen.tap(*place)
        page.wait_for_timeout(JUDGE_MS)
        if page.is_visible("[data-confirm=no]"):
            page.tap("[data-confirm=no]")
    assert given(web, c.GiveScore) == []
    page.tap("[role=switch] >> nth=1")
    page.tap("[data-success=yes]")
    page.wait_for_timeout(JUDGE_MS)
    page.tap("[data-confirm=yes]")
    tab.state("scored")
    tab.says("#strip output", "Connected, all recorded")
    assert [(one.success, one.rubric) for one in given(web, c.GiveScore)] == [(True, (False, True, False))]


def test_work_goes_on_while_the_network_is_away(web: WebBench, enter: Callable[..., Tab]) -> None:
    tab = enter("ann")
    trial = driving(tab)
    with tab.away():
        tab.says("#strip output", "No connection")
        before = tab.page.inner_text("[data-clock=elapsed]")
        tab.page.wait_for_timeout(400)
        assert tab.page.inner_text("[data-clock=elapsed]") > before
        tab.press("Space")
        tab.state("awaiting score")
        tab.says("#strip output", "Not yet recorded: stop.")
        tab.press("s")
        tab.page.wait_for_timeout(JUDGE_MS)
        tab.press("Enter")
        tab.state("scored")
        tab.says("#strip output", "Not yet recorded (2): stop, success.")
        assert tab.page.is_disabled("#next")
        # The page is loaded again: what was done is still there, and so is the state that it led to.
        tab.page.on("dialog", lambda dialog: dialog.accept())
        tab.page.reload()
        tab.state("scored")
        tab.says("#strip output", "Not yet recorded (2): stop, success.")
        assert web.bench.trial(trial).state is TrialState.RUNNING
    tab.says("#strip output", "Connected, all recorded")
    assert web.bench.trial(trial).state is TrialState.SCORED
    assert (len(given(web, c.End)), len(given(web, c.GiveScore))) == (1, 1)


def test_an_answer_that_is_lost_does_nothing_twice(web: WebBench, enter: Callable[..., Tab]) -> None:
    tab = enter("ann")
    driving(tab)
    keys = lose_answers(tab.page, "**/api/trials/*/stop")
    tab.press("Space")
    while len(keys) < 3:
        tab.page.wait_for_timeout(50)
    tab.page.unroute_all(behavior="wait")
    tab.says("#strip output", "Connected, all recorded")
    assert len(set(keys)) == 1
    assert len(given(web, c.End)) == 1


def test_a_hold_is_unconfirmed_until_it_is_answered(web: WebBench, enter: Callable[..., Tab]) -> None:
    tab = enter("ann")
    trial = driving(tab)
    with tab.away("**/api/hold"):
        tab.press("h")
        tab.says("#alarm", "not confirmed")
        assert tab.page.get_attribute("#alarm", "role") == "alert"
        tab.page.reload()
        tab.says("#alarm", "not confirmed")
        assert web.bench.trial(trial).state is TrialState.RUNNING
    tab.says("#alarm", "holding, confirmed")
    tab.state("interrupted")
    assert ("hold", LEFT) in web.bench.robots.told
    assert "emergency stop" in tab.page.inner_text(".panel[data-for=interrupted]")


def test_the_clock_never_goes_back(enter: Callable[..., Tab]) -> None:
    tab = enter("ann")
    driving(tab)
    shown = tab.page.evaluate(
        """async () => {
          const shown = [];
          const face = document.querySelector("[data-clock=elapsed]");
          for (let i = 0; i < 12; i += 1) {
            const there = Date.now();
            Date.now = () => there + (i % 2 ? 3.6e6 : -3.6e6);
            await new Promise((done) => setTimeout(done, 60));
            shown.push(face.textContent);
          }
          return shown;
        }"""
    )
    assert shown == sorted(shown)
    assert shown[-1] > shown[0]
    # And late or early answers of the server do not turn it back either.
    read = tab.page.evaluate(
        """async () => {
          const { RunClock, asClock } = await import("/static/run_clock.js");
          const clock = new RunClock();
          clock.take(5, true, 1000);
          const read = [clock.read(2000)];
          clock.take(5.5, true, 2000);
          read.push(clock.read(2100));
          clock.take(9, true, 2200);
          read.push(clock.read(2300));
          clock.stop(2400);
          read.push(clock.read(99999));
          clock.take(9.15, false, 3000);
          read.push(clock.read(99999));
          return [...read, asClock(65.29), asClock(0)];
        }"""
    )
    assert read == [6, 6, 9.1, pytest.approx(9.2), 9.15, "1:05.2", "0:00.0"]


def test_a_robot_moves_for_a_page_that_knows_what_is_going_on(web: WebBench, enter: Callable[..., Tab]) -> None:
    tab = enter("ann")
    taken(tab)
    tab.page.wait_for_selector("#arm:not(:disabled)")
    with tab.away("**/api/now"):
        tab.says("#strip output", "No connection")
        web.bench.clocks.wait(11)
        tab.page.click("#arm")
        tab.says("#alarm", "the robot was not moved")
    assert web.bench.robots.told == []
    tab.says("#strip output", "Connected")
    tab.page.click("#arm")
    tab.state("armed")
    # Something held it on its way: it may be sent home again, and does not start from where it is.
    arm = web.bench.robots.robots[LEFT]
    arm.at_home, arm.mode = False, "hold"
    tab.says("#start-why", "not in its start pose")
    assert tab.page.is_disabled("#start")
    tab.page.wait_for_timeout(HOME_MS)
    with tab.page.expect_response("**/api/now"):
        tab.press("Space")
    assert tab.page.is_hidden("#alarm")
    tab.page.click("#again")
    tab.page.wait_for_selector("#start:not(:disabled)")
    assert web.bench.robots.told == [("arm", LEFT)] * 2


def test_a_start_without_an_answer_says_that_it_may_move(web: WebBench, enter: Callable[..., Tab]) -> None:
    tab = enter("ann")
    taken(tab)
    tab.page.wait_for_selector("#arm:not(:disabled)")
    keys = lose_answers(tab.page, "**/api/trials/*/arm")
    tab.page.click("#arm")
    tab.says("#alarm", "the robot may move")
    tab.state("armed")
    # Once is enough: what moves a robot is never sent again by itself.
    assert len(keys) == 1
    assert len(given(web, c.Arm)) == 1


def test_two_operators_want_the_same_robot(web: WebBench, enter: Callable[..., Tab]) -> None:
    ann, bob = enter("ann"), enter("bob")
    with bob.away(f"{bob.address}/"):
        trial = taken(ann)
        bob.page.click(f"#go-{LEFT}")
        bob.says("#alarm", "somebody else was faster")
    bob.page.wait_for_selector(f"#go-{LEFT}:disabled")
    bob.says(f'[data-robot="{LEFT}"]', "ann has it")
    bob.page.goto(f"{bob.address}/trials/{trial}")
    bob.says("h1", "is with ann")
    assert len(given(web, c.Lease)) == 1


def test_signing_in_again_loses_nothing(web: WebBench, enter: Callable[..., Tab]) -> None:
    tab = enter("ann")
    trial = driving(tab)
    identity = web.keys.known.pop("ann")
    tab.press("Space")
    tab.says("#strip output", "Not yet recorded: stop.")
    tab.says("#strip output", "Signed out")
    tab.page.click("#strip a")
    tab.page.wait_for_selector("#key")
    web.keys.known["ann"] = identity
    tab.sign_in("ann")
    tab.says("#strip output", "Connected, all recorded")
    assert web.bench.trial(trial).state is TrialState.AWAITING_SCORE
    tab.page.click("a.go")
    tab.state("awaiting score")


def test_a_full_disk_is_said_and_what_was_done_is_kept(web: WebBench, enter: Callable[..., Tab]) -> None:
    tab = enter("ann")
    trial = driving(tab)
    tab.press("Space")
    tab.says("#strip output", "all recorded")
    web.bench.store.full = True
    tab.press("f")
    tab.page.wait_for_timeout(JUDGE_MS)
    tab.press("Enter")
    tab.says("#strip output", "The database takes nothing now")
    tab.says("#strip output", "failure")
    web.bench.store.full = False
    tab.says("#strip output", "Connected, all recorded")
    assert web.bench.trial(trial).state is TrialState.SCORED


def test_a_rater_looks_and_judges(web: WebBench, enter: Callable[..., Tab]) -> None:
    ann = enter("ann")
    driving(ann)
    ann.press("Space", "s")
    ann.page.wait_for_timeout(JUDGE_MS)
    ann.press("Enter")
    ann.says("#afterwards", "which policy")
    record_videos(web.bench, frames=12)
    tab = enter("ray")
    tab.page.wait_for_function("() => document.querySelector('#place').value === '1'")
    tab.press("ArrowRight", "ArrowRight", "ArrowLeft")
    tab.says("#at", "0:00.2")
    tab.page.click("text=4×")
    tab.press("Escape")
    tab.page.evaluate("document.activeElement.blur()")
    tab.press("Space")
    tab.page.wait_for_function("() => document.querySelector('#place').value === '12'")
    drawn = tab.page.evaluate(
        "Array.from(document.querySelector('#picture').getContext('2d').getImageData(320, 20, 1, 1).data)"
    )
    assert max(drawn[:3]) < 60
    tab.press("s")
    tab.page.wait_for_timeout(JUDGE_MS)
    tab.press("Enter")
    tab.says("h1", "No video waits for you")
    assert [one.success for one in given(web, c.Rate)] == [True]


def test_two_administrators_and_an_auditor(web: WebBench, enter: Callable[..., Tab]) -> None:
    ann = enter("ann")
    trial = driving(ann)
    ada, eve, aud = enter("ada"), enter("eve"), enter("aud")
    for tab in (ada, eve):
        tab.page.goto(f"{tab.address}/admin")
    ada.page.fill("#unblind-trial", f" {trial} ")
    ada.page.fill("#unblind-reason", "it hit somebody")
    ada.page.click("text=Propose")
    ada.says("main", "Waits for a second administrator")
    eve.page.click("text=Confirm, show the policy")
    name = web.bench.campaign.plan.campaign.policies[web.bench.policy(trial)].name
    eve.says("#alarm", name)
    eve.page.fill(f"#void-{trial}", "it hit somebody")
    eve.page.click("text=Void it")
    ann.says("#alarm", "no longer with you")
    aud.page.goto(f"{aud.address}/log")
    with aud.page.expect_download() as saved:
        aud.page.click("text=Save the head")
    assert saved.value.path().read_text().strip() == str(web.bench.store._store.head())


SMALL = """() => Array.from(document.querySelectorAll("button, a.button, nav a, .back, input, summary"))
  .filter((one) => one.checkVisibility({ visibilityProperty: true }) && one.type !== "hidden")
  .map((one) => [one.id || one.textContent.trim().slice(0, 30), one.getBoundingClientRect()])
  .filter(([, box]) => box.width > 0 && (box.width < 47.5 || box.height < 47.5))
  .map(([name, box]) => `${name}: ${Math.round(box.width)} x ${Math.round(box.height)}`)"""
NAMELESS = """() => Array.from(document.querySelectorAll("button, a, input, textarea"))
  .filter((one) => one.checkVisibility() && one.type !== "hidden")
  .filter((one) => !(one.textContent.trim() || one.getAttribute("aria-label") || one.labels?.length))
  .map((one) => one.outerHTML)"""
PALE = """() => {
  const parts = (text) => (text.match(/[\\d.]+/g) ?? []).map(Number);
  const light = ([r, g, b]) => [r, g, b].map((c) => c / 255)
    .map((c) => (c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4))
    .reduce((sum, c, i) => sum + c * [0.2126, 0.7152, 0.0722][i], 0);
  const ground = (one) => {
    for (let at = one; at; at = at.parentElement) {
      const [r, g, b, a = 1] = parts(getComputedStyle(at).backgroundColor);
      if (a > 0.7) return [r, g, b];
    }
    return [255, 255, 255];
  };
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  const pale = [];
  while (walker.nextNode()) {
    const one = walker.currentNode.parentElement;
    const text = walker.currentNode.textContent.trim();
    if (!text || !one.checkVisibility() || one.closest(":disabled, kbd, script, [hidden]")) continue;
    const [a, b] = [light(parts(getComputedStyle(one).color)), light(ground(one))].sort();
    if ((b + 0.05) / (a + 0.05) < 4.5) pale.push(`${text.slice(0, 30)}: ${((b + 0.05) / (a + 0.05)).toFixed(1)}`);
  }
  return pale;
}"""


def look(tab: Tab, *must: str) -> None:
    """The page as it is, at three sizes: nothing too small, too pale, too wide or nameless, and these in sight."""
    page = tab.page
    page.wait_for_load_state("load")
    for width, height in (TABLET, UPRIGHT, PHONE):
        page.set_viewport_size({"width": width, "height": height})
        where = f"{page.url} at {width}: "
        assert page.evaluate(SMALL) == [], where
        assert page.evaluate(NAMELESS) == [], where
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), where
        for selector in must:
            box = page.locator(selector).bounding_box()
            assert box is not None, where + selector
            assert box["y"] >= 0, where + selector
            assert box["y"] + box["height"] <= height, where + selector
            assert box["x"] >= 0, where + selector
            assert box["x"] + box["width"] <= width, where + selector
    for scheme in ("dark", "light"):
        page.emulate_media(color_scheme=scheme)  # type: ignore[arg-type]
        assert page.evaluate(PALE) == [], f"{page.url} {scheme}"
    page.set_viewport_size({"width": TABLET[0], "height": TABLET[1]})


def test_large_clear_and_in_reach(web: WebBench, enter: Callable[..., Tab]) -> None:
    hold = "header .hold"
    tab = enter("ann")
    look(tab, hold, f"#go-{LEFT}")
    taken(tab)
    look(tab, hold, "#arm")
    tab.page.click("#arm")
    tab.state("armed")
    look(tab, hold, "#start")
    tab.page.wait_for_selector("#start:not(:disabled)")
    tab.page.click("#start")
    tab.state("running")
    look(tab, hold, "#stop", "[data-clock=elapsed]")
    tab.press("Space")
    tab.state("awaiting score")
    look(tab, hold, "[data-success=yes]", "[data-success=no]")
    tab.press("f")
    look(tab, hold, "[data-confirm=yes]", "[data-confirm=no]")
    tab.press("Escape", "v")
    look(tab, hold, "#void-give", "#void-leave")
    tab.press("Escape", "s")
    tab.page.wait_for_timeout(JUDGE_MS)
    tab.press("Enter")
    tab.says("#afterwards", "which policy")
    look(tab, hold, "#next")
    record_videos(web.bench, frames=2)
    look(enter("ray"), "[data-success=yes]", "#play")
    look(enter("aud"))
    ada = enter("ada")
    look(ada, hold)
    ada.page.goto(f"{ada.address}/admin")
    look(ada, hold)
    ada.page.click("header .who button")
    look(ada, "#key", "button.primary")
    # Keys show where they are.
    ada.page.keyboard.press("Tab")
    outline = ada.page.evaluate("getComputedStyle(document.activeElement).outlineWidth")
    assert re.fullmatch(r"[3-9](\.\d+)?px", outline)
    ada.page.fill("#key", "nobody")
    ada.page.keyboard.press("Enter")
    ada.says(".wrong", "not valid")
    ada.sign_in("ada")
    ada.says("h1", "Cups October")
