// Success or failure, sub-tasks and a note: chosen, shown once more, then given. The second press is at another place
// than the first, and counts only after a moment, so that a bouncing finger in a glove gives no score.

import { isTyping } from "./page.js";

const GUARD_MS = 350;

export class ScorePanel {
  #root;
  #give;
  #success = null;
  #since = 0;

  /**
   * @param {HTMLElement} root Holds the buttons, see `score_panel.html`.
   * @param {(judgement: {success: boolean, rubric: boolean[], note: string}) => void} give What to do with it.
   */
  constructor(root, give) {
    this.#root = root;
    this.#give = give;
    root.addEventListener("click", (event) => this.#clicked(event.target.closest("button")));
    document.addEventListener("keydown", (event) => this.#pressed(event));
  }

  get #open() {
    return this.#root.checkVisibility();
  }

  #clicked(button) {
    if (!button) return;
    if (button.getAttribute("role") === "switch") this.#toggle(button);
    else if (button.dataset.success) this.#choose(button.dataset.success === "yes");
    else if (button.dataset.confirm === "yes") this.#confirm();
    else if (button.dataset.confirm === "no") this.#change();
  }

  #pressed(event) {
    if (!this.#open || event.repeat || event.ctrlKey || event.metaKey || event.altKey) return;
    if (event.key === "Escape" && this.#success !== null) return this.#change();
    if (isTyping(event)) return;
    const key = event.key.toLowerCase();
    if (this.#success === null) this.#pressedWhileOpen(event, key);
    else if (key === "enter") this.#confirmBy(event);
  }

  #pressedWhileOpen(event, key) {
    const number = Number(key);
    const sub = number >= 1 ? this.#switches[number - 1] : undefined;
    if (sub) this.#toggle(sub);
    else if (key === "s" || key === "f") this.#choose(key === "s");
    else return;
    event.preventDefault();
  }

  #confirmBy(event) {
    // On a focused button Enter is that button's own.
    if (event.target.closest("button")) return;
    event.preventDefault();
    this.#confirm();
  }

  get #switches() {
    return Array.from(this.#root.querySelectorAll("[role=switch]"));
  }

  #toggle(button) {
    button.setAttribute("aria-checked", String(button.getAttribute("aria-checked") !== "true"));
  }

  #choose(success) {
    this.#success = success;
    this.#since = performance.now();
    const switches = this.#switches;
    const done = switches.filter((one) => one.getAttribute("aria-checked") === "true").length;
    const [word, parts] = this.#root.querySelectorAll("[data-chosen-word], [data-chosen-parts]");
    word.textContent = success ? "Success" : "Failure";
    parts.textContent = switches.length ? `${done} of ${switches.length} sub-tasks` : "";
    this.#root.dataset.chosen = success ? "success" : "failure";
    // A success without a sub-task is possible, and more often a slip.
    this.#root.querySelector("[data-doubt]").hidden = !(success && done < switches.length);
    this.#root.querySelector("[data-confirm=yes]").focus({ preventScroll: true });
  }

  #change() {
    this.#success = null;
    delete this.#root.dataset.chosen;
  }

  #confirm() {
    if (this.#success === null || performance.now() - this.#since < GUARD_MS) return;
    const judgement = {
      success: this.#success,
      rubric: this.#switches.map((one) => one.getAttribute("aria-checked") === "true"),
      note: this.#root.querySelector("textarea").value.trim(),
    };
    this.#change();
    this.#give(judgement);
  }
}
