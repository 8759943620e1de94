// Keeps the main part of a page as the server would render it now.

import { heard, show } from "./page.js";

const PATIENCE_MS = 4000;
const main = document.getElementById("main");
let pressed = false;
let last = "";

/** Ask again every so many milliseconds, and whenever something was done. */
export function keepLive(every_ms) {
  const soon = () => setTimeout(refresh, 50);
  document.addEventListener("answered", soon);
  document.addEventListener("held", soon);
  // A button must not move away from under a finger.
  document.addEventListener("pointerdown", () => (pressed = true));
  document.addEventListener("pointerup", () => setTimeout(() => (pressed = false), 100));
  document.addEventListener("pointercancel", () => (pressed = false));
  const go = async () => {
    if (!document.hidden) await refresh();
    setTimeout(go, every_ms);
  };
  setTimeout(go, every_ms);
}

/** Ask once. */
export async function refresh() {
  let text = "";
  try {
    const signal = AbortSignal.timeout(PATIENCE_MS);
    const headers = { "x-part": "1" };
    const answer = await fetch(location.href, { headers, cache: "no-store", signal });
    if (new URL(answer.url).pathname === "/login") {
      heard({ kind: "sign in" });
      return show();
    }
    if (!answer.ok) throw new Error(String(answer.status));
    text = await answer.text();
    heard({ kind: "ok" });
  } catch {
    heard({ kind: "away" });
  }
  show();
  if (text && text !== last && !pressed && !isBusy()) put(text);
}

/** Whether somebody is writing into this part. */
const isBusy = () => main.contains(document.activeElement) && document.activeElement.matches("input, textarea, select");

function put(text) {
  last = text;
  const focused = main.contains(document.activeElement) ? document.activeElement.id : "";
  const fresh = new DOMParser().parseFromString(text, "text/html").getElementById("main");
  if (!fresh || fresh.innerHTML === main.innerHTML) return;
  const open = Array.from(main.querySelectorAll("details[open][id]"), (one) => one.id);
  main.replaceChildren(...fresh.childNodes);
  for (const id of open) document.getElementById(id)?.setAttribute("open", "");
  if (focused) document.getElementById(focused)?.focus({ preventScroll: true });
}
