// What the operator has done and the server has not confirmed: kept in the browser's storage, sent in order, again and
// again with the same key, until an answer comes. Reloading the page loses nothing.

const LONGEST_WAIT_MS = 5000;

export class Outbox {
  #name;
  #storage;
  #send;
  #changed;
  #memory = [];
  #failures = 0;
  #sending = false;
  #timer = 0;

  /**
   * @param {string} name Whose actions these are: nobody sends what somebody else did.
   * @param {Storage} storage Where they are kept.
   * @param {(action) => Promise<{kind: string, text: string, data: any}>} send Sends one.
   * @param {(outbox, answer, action) => void} changed Called after every change.
   */
  constructor({ name, storage, send, changed }) {
    this.#name = `unichunk.outbox.${name}`;
    this.#storage = storage;
    this.#send = send;
    this.#changed = changed;
    this.refused = [];
  }

  /** Actions without an answer, the oldest first. */
  get waiting() {
    try {
      const kept = JSON.parse(this.#storage.getItem(this.#name) ?? "[]");
      return Array.isArray(kept) && !this.#memory.length ? kept : this.#memory;
    } catch {
      return this.#memory;
    }
  }

  /** Keep an action, and begin to send. */
  add(action) {
    this.#keep([...this.waiting, action]);
    this.#changed(this, null, action);
    this.#failures = 0;
    return this.send();
  }

  /** Keep an action before all others, and send it beside whatever is being sent: its key makes it one all the same. */
  addUrgent(action) {
    this.#keep([action, ...this.waiting]);
    this.#changed(this, null, action);
    return this.#deliver(action).then(() => this.send());
  }

  /** Forget what was refused: the operator has seen it. */
  dismiss() {
    this.refused = [];
    this.#changed(this, null, null);
  }

  /** Send what waits; called again whenever the network may be back. */
  async send() {
    if (this.#sending) return;
    this.#sending = true;
    clearTimeout(this.#timer);
    try {
      while (this.waiting.length) {
        if (!(await this.#deliver(this.waiting[0]))) break;
      }
    } finally {
      this.#sending = false;
    }
  }

  /** Send one; whether an answer came. */
  async #deliver(action) {
    const answer = await this.#send(action);
    const answered = answer.kind === "ok" || answer.kind === "refused";
    if (answered) {
      this.#failures = 0;
      // Another window may have sent it too: it is found by its key, not by its place.
      this.#keep(this.waiting.filter((other) => other.key !== action.key));
      if (answer.kind === "refused") this.#refuse({ ...action, text: answer.text });
    } else if (answer.kind !== "sign in") {
      this.#failures += 1;
      clearTimeout(this.#timer);
      this.#timer = setTimeout(() => this.send(), Math.min(LONGEST_WAIT_MS, 500 * 2 ** this.#failures));
    }
    this.#changed(this, answer, action);
    return answered;
  }

  #refuse(action) {
    if (!this.refused.some((other) => other.key === action.key)) this.refused.push(action);
  }

  #keep(actions) {
    try {
      this.#storage.setItem(this.#name, JSON.stringify(actions));
      this.#memory = [];
    } catch {
      // No storage (a private window, a full disk): a reload would lose them, so the page has to stay.
      this.#memory = actions;
    }
  }
}
