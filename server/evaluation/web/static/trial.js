// The page beside the robot. The server knows what state the trial is in; what the operator did since, and the server
// has not confirmed, counts here already, so that work goes on while the network is away.

import { ask } from "./connection.js";
import { choices } from "./choices.js";
import { LiveCamera } from "./live_camera.js";
import { atOnce, atOnceAndLater, heard, isTyping, later, onAction, outbox, show, tell } from "./page.js";
import { asClock, RunClock } from "./run_clock.js";
import { ScorePanel } from "./score_panel.js";

const NOW_EVERY_MS = 700;
const START_GUARD_MS = 600;
const main = document.getElementById("main");
const { trial, robot, picture } = main.dataset;
const timeout_s = Number(main.dataset.timeout);
const find = (name) => document.getElementById(name);
const reasons = Array.from(document.querySelectorAll("[data-reason]"));
const clock = new RunClock();

let known = main.dataset.state; // by the server
let version = Number(main.dataset.version);
let shown = ""; // on this page
let ticket = "";
let stateSince = 0;
let moving = ""; // a motion that was asked for and has no answer yet
let atHome = false;
let noneLeft = false;
clock.take(Number(main.dataset.elapsed), known === "running", performance.now());

// ---- which state is shown -----------------------------------------------------------------------------------------

const MODES = { hold: "holds", home: "goes home", run: "runs" };
const AFTER = { stop: "awaiting score", score: "scored", void: "void", release: "planned" };

/** The server's state, and on top of it what waits to be sent. */
function expected() {
  let state = known;
  for (const action of outbox.waiting.filter((one) => one.trial === trial)) {
    state = AFTER[action.path.split("/").at(-1)] ?? state;
  }
  // The server ends a trial by its own clock; without a network the page knows it as well.
  if (state === "running" && clock.read(performance.now()) > timeout_s + 1) state = "awaiting score";
  return state;
}

function refreshState() {
  const state = expected();
  if (state === shown) return;
  const before = shown;
  shown = state;
  stateSince = performance.now();
  main.dataset.state = state;
  if (state !== "running") clock.stop(performance.now());
  for (const step of document.querySelectorAll("#steps li")) {
    if (step.dataset.states.split(",").includes(state)) step.setAttribute("aria-current", "step");
    else step.removeAttribute("aria-current");
  }
  say("said", main.querySelector(`.panel[data-for~="${state.replace(" ", "-")}"] h2`)?.textContent ?? "");
  // Space belongs to the page again, not to the button that was pressed last.
  if (before) document.activeElement?.blur();
  if (state === "scored" || state === "void" || state === "planned") afterwards();
}

/** What follows: a guess, a comparison, the next trial; from the server, once it has recorded this one. */
async function afterwards() {
  if (outbox.waiting.some((action) => action.trial === trial) || known === "running") return;
  try {
    const answer = await fetch("/afterwards", { headers: { "x-part": "1" }, cache: "no-store" });
    if (!answer.ok || new URL(answer.url).pathname !== "/afterwards") return;
    const fresh = new DOMParser().parseFromString(await answer.text(), "text/html").getElementById("main");
    find("afterwards").replaceChildren(...fresh.childNodes);
  } catch {
    // Asked for again when the network is back.
  }
}

// ---- what the server says -----------------------------------------------------------------------------------------

async function now() {
  const asked = performance.now();
  const answer = await ask("GET", "/api/now", { patience: 3000 });
  const answered = performance.now();
  heard(answer);
  show();
  if (answer.kind !== "ok") return;
  const { overview } = answer.data;
  noneLeft = answer.data.next === null;
  ticket = answer.data.ticket;
  take(overview.mine, (asked + answered) / 2);
  takeRobot(overview.robots.find((one) => one.name === robot));
}

function take(mine, at_ms) {
  if (mine?.trial === trial) {
    // Answers may overtake each other.
    if (mine.version < version) return;
    version = mine.version;
    known = mine.state;
    if (known !== "running" || expected() === "running") clock.take(mine.elapsed_s, known === "running", at_ms);
    find("reason").textContent = mine.reason;
    takeLease(mine.lease_left_s);
  } else if (!["scored", "void", "planned"].includes(expected())) {
    // Given back by the server, voided by an administrator, or judged from another window.
    known = "planned";
    tell("This trial is no longer with you: see the campaign's page.");
  }
  if (moving && (known !== moving || mine?.trial !== trial)) moved("");
  refreshState();
}

/** The next trial can be had once this one is recorded. */
function refreshNext() {
  const open = outbox.waiting.some((action) => action.trial === trial);
  find("next").disabled = open || noneLeft;
  const why = open ? "As soon as this one is recorded." : noneLeft ? "No trial is free now." : "";
  say("next-why", why);
}

function takeLease(left_s) {
  const soon = left_s !== null && left_s < 120;
  find("lease").hidden = !soon;
  if (soon) find("lease").textContent = `Goes back to the campaign in ${Math.ceil(left_s)} s unless you go on.`;
}

function takeRobot(one) {
  atHome = one?.at_home ?? false;
  const lost = !one?.connected;
  const goesHome = one?.mode === "home";
  say("robot-state", lost ? "not connected" : MODES[one.mode]);
  find("robot-state").dataset.tone = lost ? "bad" : "good";
  find("arm").disabled = find("again").disabled = lost || moving !== "";
  find("start").disabled = lost || !atHome || moving !== "";
  // Something may have held it on its way.
  find("again").hidden = lost || atHome || goesHome;
  const absent = lost ? "The robot is not connected." : "";
  const away = goesHome ? "The robot is on its way to the start pose." : "The robot holds, not in its start pose.";
  say("arm-why", absent);
  say("start-why", absent || (atHome ? "" : away));
}

/** Set a text; the same one again would make screen readers say it again. */
function say(name, text) {
  if (find(name).textContent !== text) find(name).textContent = text;
}

// ---- what the operator does ---------------------------------------------------------------------------------------

/** Set the robot in motion, now or not at all. */
async function move(action, button = find(action)) {
  if (button.disabled || moving) return;
  moving = known;
  tell("");
  button.disabled = true;
  button.dataset.waits = "yes";
  const answer = await atOnce(`/api/trials/${trial}/${action}`, { ticket });
  if (answer.kind === "ok") {
    take(answer.data.trial, performance.now());
  } else if (answer.kind === "away") {
    tell(`No answer to “${action}”: the robot may move. Watch it; HOLD stops it.`, "bad");
    // A late answer of the server shows in what it says next; a ticket this old moves nothing any more.
    setTimeout(() => moved(""), 10000);
    return now();
  } else {
    tell(answer.text || "Not possible now.");
  }
  moved("");
  return now();
}

function moved(state) {
  moving = state;
  for (const name of ["arm", "again", "start"]) delete find(name).dataset.waits;
}

function stop() {
  if (shown !== "running") return;
  clock.stop(performance.now());
  atOnceAndLater(`/api/trials/${trial}/stop`, {}, "stop", trial);
}

function score(judgement) {
  if (shown !== "awaiting score") return;
  later(`/api/trials/${trial}/score`, judgement, judgement.success ? "success" : "failure", trial);
}

function openVoid(open) {
  main.toggleAttribute("data-voiding", open);
  // Not the field: a tablet would cover half of itself with its keyboard.
  if (open) find("void-title").focus({ preventScroll: true });
}

function chooseReason(button) {
  find("void-reason").value = button?.dataset.reason ?? find("void-reason").value;
  for (const one of reasons) one.setAttribute("aria-pressed", String(one === button));
}

/** Keys while the trial is being voided. */
function pressedVoiding(event) {
  if (event.key === "Escape") openVoid(false);
  else if (event.key === "Enter" && !event.target.closest("button")) giveVoid();
  else if (event.key >= "1" && event.key <= "9" && !isTyping(event)) chooseReason(reasons[event.key - 1]);
  else return;
  event.preventDefault();
}

function giveVoid() {
  const reason = find("void-reason").value.trim();
  find("void-why").hidden = reason.length >= 3;
  if (reason.length < 3) return;
  openVoid(false);
  later(`/api/trials/${trial}/void`, { reason }, "void", trial);
}

const BUTTONS = {
  arm: () => move("arm"),
  again: () => move("arm", find("again")),
  start: () => move("start"),
  stop,
  release: () => later(`/api/trials/${trial}/release`, {}, "give back", trial),
  "void-give": giveVoid,
  "void-leave": () => openVoid(false),
};

main.addEventListener("click", (event) => {
  const button = event.target.closest("button");
  if (!button) return;
  if (button.dataset.void === "open") openVoid(true);
  else if (button.dataset.reason) chooseReason(button);
  else BUTTONS[button.id]?.();
});

document.addEventListener("keydown", (event) => {
  if (event.repeat || event.ctrlKey || event.metaKey || event.altKey) return;
  if (main.hasAttribute("data-voiding")) return pressedVoiding(event);
  // A button that has the focus keeps its own keys.
  if (isTyping(event) || (event.target.closest("button, a") && [" ", "Enter"].includes(event.key))) return;
  if (pressed(event.key.toLowerCase())) event.preventDefault();
});

/** Whether a key means something in this state. */
function pressed(key) {
  const settled = performance.now() - stateSince > START_GUARD_MS;
  if (key === " ") {
    if (shown === "running") stop();
    else if (shown === "armed" && settled) move("start");
    return true;
  }
  if (key === "a" && shown === "leased") move("arm");
  else if (key === "v" && find("void-open").checkVisibility()) openVoid(true);
  else if (key === "n" && find("next").checkVisibility()) find("next").click();
  else if (key === "g") find("ghost")?.focus();
  else return false;
  return true;
}

// ---- the next trial -----------------------------------------------------------------------------------------------

document.addEventListener("answered", ({ detail: { answer, button } }) => {
  if (button.dataset.once !== "/api/lease") return;
  if (answer.kind === "ok") location.href = `/trials/${answer.data.trial.trial}`;
  else tell("The robot is taken, or you have a trial: see the campaign's page.");
});

onAction((answer, action) => {
  if (answer?.kind === "ok" && answer.data.trial?.trial === trial) take(answer.data.trial, performance.now());
  if (answer?.kind === "refused" && action?.trial === trial) now();
  refreshState();
  if (answer?.kind === "ok" && ["scored", "void", "planned"].includes(shown)) afterwards();
});

// ---- clock, camera, ghost -----------------------------------------------------------------------------------------

function tick() {
  const elapsed = clock.read(performance.now());
  const left = Math.max(0, timeout_s - elapsed);
  for (const face of document.querySelectorAll("[data-clock]")) {
    const text = face.dataset.clock === "left" ? asClock(left) : asClock(elapsed);
    if (face.textContent !== text) face.textContent = text;
  }
  find("used").value = Math.min(elapsed, timeout_s);
  main.toggleAttribute("data-late", shown === "running" && left < 10);
  refreshNext();
  refreshState();
}

const ghost = find("ghost-photo");
const fade = () => (ghost.style.opacity = String(find("ghost").value / 100));
find("ghost")?.addEventListener("input", fade);
choices("blend", (value) => {
  ghost.style.mixBlendMode = value;
  // Whole, what is the same is black.
  find("ghost").value = value === "difference" ? 100 : 50;
  fade();
});
if (ghost) fade();

const live = new LiveCamera(find("camera"), robot, Number(picture), (text) => {
  find("camera-said").hidden = !text;
  find("camera-said").textContent = text;
});
choices("camera", (value) => (live.camera = value));
live.camera = document.querySelector("[data-camera]")?.dataset.camera ?? "";
live.run();

new ScorePanel(find("score"), score);
refreshState();
setInterval(tick, 100);
(async function forever() {
  for (;;) {
    await now();
    await new Promise((done) => setTimeout(done, NOW_EVERY_MS));
  }
})();
