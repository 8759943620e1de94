// Live pictures of a robot's camera, one at a time: the next is asked for when the last is there.

const STALE_MS = 3000;
const PATIENCE_MS = 3000;

export class LiveCamera {
  #canvas;
  #address;
  #pause_ms;
  #said;
  #last = -Infinity;

  /**
   * @param {HTMLCanvasElement} canvas Where to draw.
   * @param {string} robot Whose camera.
   * @param {number} pause_ms Between two pictures.
   * @param {(text: string) => void} said Told why there is no fresh picture; empty: there is one.
   */
  constructor(canvas, robot, pause_ms, said) {
    this.#canvas = canvas;
    this.#address = `/robots/${encodeURIComponent(robot)}/frame.jpg`;
    this.#pause_ms = pause_ms;
    this.#said = said;
    this.camera = "";
  }

  /** Goes on for as long as the page lives. */
  async run() {
    for (;;) {
      if (!document.hidden) await this.#once();
      await new Promise((done) => setTimeout(done, this.#pause_ms));
    }
  }

  async #once() {
    const query = this.camera ? `?camera=${encodeURIComponent(this.camera)}` : "";
    try {
      const signal = AbortSignal.timeout(PATIENCE_MS);
      const answer = await fetch(this.#address + query, { cache: "no-store", signal });
      if (answer.status === 200) {
        this.#draw(await createImageBitmap(await answer.blob()));
        this.#last = performance.now();
      }
    } catch {
      // The network is away, or half a picture came: the line below says so.
    }
    const age = performance.now() - this.#last;
    if (age === Infinity) this.#said("No picture from this robot yet");
    else this.#said(age > STALE_MS ? `Picture is ${Math.round(age / 1000)} s old` : "");
  }

  #draw(picture) {
    if (this.#canvas.width !== picture.width) this.#canvas.width = picture.width;
    if (this.#canvas.height !== picture.height) this.#canvas.height = picture.height;
    this.#canvas.getContext("2d").drawImage(picture, 0, 0);
    picture.close();
  }
}
