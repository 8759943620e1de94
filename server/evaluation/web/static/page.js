// What every page has: the line that says what is not yet recorded, the emergency stop, and buttons that send things.

import { ask, newKey } from "./connection.js";
import { hold } from "./hold.js";
import { Outbox } from "./outbox.js";

const STALE_RELOAD_MS = 10000;
const GOOD_NEWS_MS = 8000;
const listeners = new Set();
const strip = document.getElementById("strip");
const alarm = document.getElementById("alarm");
let connected = true;
let recording = true;
let signIn = false;
let gone = 0;

export const outbox = new Outbox({
  name: document.body.dataset.who ?? "",
  storage: localStorage,
  send: (action) => ask("POST", action.path, { body: action.body, key: action.key }),
  changed(_, answer, action) {
    if (answer) heard(answer);
    show();
    for (const listener of listeners) listener(answer, action);
  },
});

/** Be told of every action that was added (`answer` is null), answered or not answered. */
export const onAction = (listener) => listeners.add(listener);

/** Do something that may be sent later: it is kept until the server has answered. */
export function later(path, body, label, trial = "") {
  return outbox.add({ key: newKey(), path, body, label, trial });
}

/** The same for what must not wait in line behind other actions. */
export function atOnceAndLater(path, body, label, trial) {
  return outbox.addUrgent({ key: newKey(), path, body, label, trial });
}

/** Do something that must happen now or not at all: what sets a robot in motion, or takes it. */
export async function atOnce(path, body) {
  const answer = await ask("POST", path, { body });
  heard(answer);
  show();
  return answer;
}

/** Take note of how an answer came: is the server there, are we signed in? */
export function heard(answer) {
  const was = connected && !signIn;
  connected = answer.kind !== "away";
  signIn = answer.kind === "sign in";
  if (answer.kind === "ok" && answer.data?.overview) recording = answer.data.overview.recording;
  if (answer.kind === "unrecorded") recording = false;
  if (answer.kind === "stale") reloadStale();
  if (connected && !signIn && !was) outbox.send();
}

/** The form's token is another session's, as after signing in again elsewhere: a new page has the new one. */
function reloadStale() {
  const last = Number(sessionStorage.getItem("unichunk.reloaded") ?? 0);
  if (Date.now() - last < STALE_RELOAD_MS) return;
  sessionStorage.setItem("unichunk.reloaded", String(Date.now()));
  location.reload();
}

/** Bring the line at the top up to date. */
export function show() {
  const waiting = outbox.waiting;
  const names = waiting.map((action) => action.label).join(", ");
  const count = waiting.length > 1 ? ` (${waiting.length})` : "";
  const open = waiting.length ? ` Not yet recorded${count}: ${names}.` : "";
  let tone = "good";
  let text = "Connected, all recorded";
  if (signIn) [tone, text] = ["bad", `Signed out.${open} Sign in again to go on.`];
  else if (!connected) [tone, text] = ["warn", `No connection, trying again.${open}${open && " Keep this page open."}`];
  else if (!recording) [tone, text] = ["bad", `The database takes nothing now: robots hold.${open}`];
  else if (open) [tone, text] = ["warn", open.trim()];
  strip.dataset.tone = tone;
  const line = strip.querySelector("output");
  // Setting the same text again would make screen readers say it again.
  if (line.textContent !== text) line.textContent = text;
  strip.querySelector("a").hidden = !signIn;
  showRefused();
}

function showRefused() {
  const box = document.getElementById("refused");
  box.hidden = outbox.refused.length === 0;
  const text = outbox.refused.map((action) => `${action.label}: ${action.text}`).join(" ");
  const line = box.querySelector("p");
  if (line.textContent !== text) line.textContent = text;
}

/** Say something that must not be missed; good news goes by itself. */
export function tell(text, tone = "warn") {
  clearTimeout(gone);
  if (tone === "good") gone = setTimeout(() => tell(""), GOOD_NEWS_MS);
  alarm.hidden = !text;
  alarm.dataset.tone = tone;
  if (alarm.textContent !== text) alarm.textContent = text;
}

// ---- the emergency stop ------------------------------------------------------------------------------------------

const KEPT = "unichunk.hold";
let holding = false;

/** Hold robots now; once is enough until it is confirmed. */
export async function holdNow(robots) {
  if (holding || !robots.length) return;
  holding = true;
  // A reload before the answer must not lose it; closing the window may.
  sessionStorage.setItem(KEPT, JSON.stringify(robots));
  const who = robots.length === 1 ? robots[0] : `${robots.length} robots`;
  await hold(robots, (state, seconds) => {
    document.body.dataset.hold = state;
    if (state === "unconfirmed") {
      const since = seconds >= 1 ? ` for ${Math.floor(seconds)} s` : "";
      tell(`HOLD ${who}: not confirmed${since}. If it moves, use the robot's own stop.`, "bad");
    } else if (state === "confirmed") {
      tell(`${who}: holding, confirmed by the server.`, "good");
    } else {
      tell(`HOLD ${who}: refused. Use the robot's own stop.`, "bad");
    }
  });
  sessionStorage.removeItem(KEPT);
  holding = false;
  document.dispatchEvent(new CustomEvent("held"));
}

/** The robots that the big red button holds. */
function robotsToHold(button) {
  if (button.dataset.hold) return [button.dataset.hold];
  return Array.from(document.querySelectorAll("[data-robot]"), (card) => card.dataset.robot);
}

// ---- buttons and forms that say themselves what they send ---------------------------------------------------------

document.addEventListener("click", async (event) => {
  const button = event.target.closest("button");
  if (!button) return;
  if ("hold" in button.dataset) {
    holdNow(robotsToHold(button));
  } else if (button.id === "dismiss") {
    outbox.dismiss();
  } else if (button.dataset.later) {
    await later(button.dataset.later, JSON.parse(button.dataset.body ?? "{}"), button.dataset.label);
  } else if (button.dataset.once) {
    button.disabled = true;
    const answer = await atOnce(button.dataset.once, JSON.parse(button.dataset.body ?? "{}"));
    button.disabled = false;
    document.dispatchEvent(new CustomEvent("answered", { detail: { answer, button } }));
  }
});

document.addEventListener("submit", async (event) => {
  const form = event.target;
  if (!form.dataset.once) return;
  event.preventDefault();
  const fields = Object.fromEntries(new FormData(form));
  const path = form.dataset.once.replace("{trial}", encodeURIComponent((fields.trial ?? "").trim()));
  delete fields.trial;
  const answer = await atOnce(path, fields);
  if (answer.kind === "ok") form.reset();
  document.dispatchEvent(new CustomEvent("answered", { detail: { answer, button: form } }));
});

/** Whether a key press is meant for a field or a button rather than for the page. */
export function isTyping(event) {
  return event.target.closest?.("input:not([type=range]), textarea, select") != null;
}

document.addEventListener("keydown", (event) => {
  if (event.repeat || event.ctrlKey || event.metaKey || event.altKey || isTyping(event)) return;
  const button = document.querySelector("header [data-hold]");
  if (button && (event.key === "h" || event.key === "H" || event.key === "Pause")) {
    event.preventDefault();
    holdNow(robotsToHold(button));
  }
});

window.addEventListener("online", () => outbox.send());
window.addEventListener("storage", () => show());
window.addEventListener("beforeunload", (event) => {
  if (outbox.waiting.length && !signIn) event.preventDefault();
});

const kept = JSON.parse(sessionStorage.getItem(KEPT) ?? "[]");
if (document.body.dataset.who) {
  if (kept.length) holdNow(kept);
  show();
  outbox.send();
}
