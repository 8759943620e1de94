// The emergency stop of the page. It does not wait in line behind other actions: it is sent at once, and again until
// the server has answered, and until then it says that it is not confirmed.

import { ask, newKey } from "./connection.js";

const AGAIN_MS = 400;
const PATIENCE_MS = 1500;

/**
 * Hold robots.
 *
 * @param {string[]} robots Their names.
 * @param {(state: "unconfirmed" | "confirmed" | "failed", seconds: number) => void} say Told how it stands.
 */
export async function hold(robots, say) {
  const began = performance.now();
  const seconds = () => (performance.now() - began) / 1000;
  say("unconfirmed", 0);
  const ticking = setInterval(() => say("unconfirmed", seconds()), 250);
  const held = await Promise.all(robots.map((robot) => holdOne(robot, newKey())));
  clearInterval(ticking);
  say(held.every(Boolean) ? "confirmed" : "failed", seconds());
}

/** Whether the server has said that the robot holds; no answer is no reason to give up. */
async function holdOne(robot, key) {
  for (;;) {
    const answer = await ask("POST", "/api/hold", { body: { robot }, key, patience: PATIENCE_MS });
    // Where only the record fails, the robot holds all the same, and the server records it later.
    if (answer.kind === "ok" || answer.kind === "unrecorded") return true;
    if (answer.kind === "refused" || answer.kind === "sign in" || answer.kind === "stale") return false;
    await new Promise((done) => setTimeout(done, AGAIN_MS));
  }
}
