// How long the policy has been driving. It counts by the browser's monotonic clock, so it goes on while the network is
// away, and neither a wall clock that is set nor a late answer ever makes it go back.

export class RunClock {
  #zero = null;
  #shown = 0;
  #running = false;

  /**
   * Take what the server says.
   *
   * @param {number} elapsed_s How long it has run, by the server's monotonic clock, [s].
   * @param {boolean} running Whether it still runs.
   * @param {number} now_ms When the answer was made, `performance.now()`, [ms].
   */
  take(elapsed_s, running, now_ms) {
    this.#running = running;
    if (running) this.#zero = now_ms - elapsed_s * 1000;
    else this.#shown = elapsed_s;
  }

  /** Stop counting: the operator has stopped it, whether or not the server knows. */
  stop(now_ms) {
    this.read(now_ms);
    this.#running = false;
  }

  get running() {
    return this.#running;
  }

  /** How long it has run, [s]. */
  read(now_ms) {
    if (this.#running) this.#shown = Math.max(this.#shown, (now_ms - this.#zero) / 1000);
    return this.#shown;
  }
}

/** `1:05.3` */
export function asClock(seconds) {
  const tenths = Math.max(0, Math.floor(seconds * 10));
  const whole = Math.floor(tenths / 10);
  return `${Math.floor(whole / 60)}:${String(whole % 60).padStart(2, "0")}.${tenths % 10}`;
}
