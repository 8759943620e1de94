// The administrators' page: it keeps itself up to date; what an unblinding shows stays until the page is left.

import { keepLive } from "./live_part.js";
import { tell } from "./page.js";

keepLive(2000);

document.addEventListener("answered", ({ detail: { answer, button } }) => {
  if (answer.kind === "refused") {
    tell(answer.text);
  } else if (answer.kind !== "ok") {
    tell("Not recorded: no answer. Look at the page before you try again.");
  } else if (answer.data.policy) {
    tell(`Trial ${button.dataset.trial} was ${answer.data.policy}. It is marked as unblinded.`);
  } else {
    tell("Recorded.", "good");
  }
});
