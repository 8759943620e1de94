// The campaign's page: it keeps itself up to date, and taking a trial leads to its page.

import { keepLive } from "./live_part.js";
import { tell } from "./page.js";

keepLive(1500);

document.addEventListener("answered", ({ detail: { answer, button } }) => {
  if (button.dataset.once !== "/api/lease") return;
  if (answer.kind === "ok") {
    location.href = `/trials/${answer.data.trial.trial}`;
  } else if (answer.kind === "refused") {
    const robot = JSON.parse(button.dataset.body).robot;
    tell(`${robot}: somebody else was faster, or you have a trial already. The page shows who has it now.`);
  } else if (answer.kind === "away") {
    tell("No answer: whether you have the trial shows as soon as the network is back.");
  }
});

// N: the next trial, where there is one robot to take it for, or one's own trial to go on with.
document.addEventListener("keydown", (event) => {
  if (event.key.toLowerCase() !== "n" || event.repeat || event.target.closest("input, textarea")) return;
  const choices = document.querySelectorAll("a.go, button.go:not(:disabled)");
  if (choices.length === 1) choices[0].click();
});
