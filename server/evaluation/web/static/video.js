// A recorded trial as pictures: the ones that come next are fetched ahead, and the ones behind are let go.

const AHEAD = 24;
const KEPT = 240;
const PATIENCE_MS = 8000;

export class Video {
  #canvas;
  #id;
  #frames;
  #fps;
  #changed;
  #pictures = new Map();
  #place = 1;
  #speed = 1;
  #playing = false;
  #due = 0;
  #generation = 0;

  /**
   * @param {HTMLCanvasElement} canvas Where to draw.
   * @param {string} id Opaque id of the video.
   * @param {number} frames How many pictures, numbered from 1.
   * @param {number} fps How many of them make a second.
   * @param {(video: Video, waiting: boolean) => void} changed Told of every picture that is drawn or waited for.
   */
  constructor(canvas, id, frames, fps, changed) {
    this.#canvas = canvas;
    this.#id = id;
    this.#frames = frames;
    this.#fps = fps;
    this.#changed = changed;
    this.camera = "";
  }

  get place() {
    return this.#place;
  }

  get playing() {
    return this.#playing;
  }

  get seconds() {
    return (this.#place - 1) / this.#fps;
  }

  set speed(factor) {
    this.#speed = factor;
  }

  /** Show another camera's pictures. */
  use(camera) {
    this.camera = camera;
    this.#generation += 1;
    for (const picture of this.#pictures.values()) picture.then((one) => one?.close());
    this.#pictures.clear();
    return this.go(this.#place);
  }

  /** Show a picture, counted from 1. */
  async go(place) {
    this.#place = Math.min(this.#frames, Math.max(1, Math.round(place)));
    const wanted = this.#place;
    for (let ahead = 0; ahead <= AHEAD; ahead += 1) this.#fetch(wanted + ahead);
    const late = setTimeout(() => this.#changed(this, true), 200);
    const picture = await this.#fetch(wanted);
    clearTimeout(late);
    // Meanwhile somebody may have gone elsewhere.
    if (wanted === this.#place && picture) this.#draw(picture);
    this.#changed(this, wanted === this.#place && !picture);
    return picture !== null;
  }

  /** Play or pause; from the start where it was at its end. */
  async toggle() {
    this.#playing = !this.#playing;
    if (!this.#playing) return this.#changed(this, false);
    if (this.#place >= this.#frames) this.#place = 1;
    this.#due = performance.now();
    while (this.#playing) {
      if (!(await this.go(this.#place))) await pause(500);
      if (this.#place >= this.#frames) break;
      // Absolute times: the speed stays right however long a picture takes, unless it takes longer than it is shown.
      this.#due = Math.max(this.#due + 1000 / (this.#fps * this.#speed), performance.now());
      await pause(this.#due - performance.now());
      if (this.#playing) this.#place += 1;
    }
    this.#playing = false;
    this.#changed(this, false);
  }

  pause() {
    this.#playing = false;
  }

  #fetch(number) {
    if (number > this.#frames) return Promise.resolve(null);
    let picture = this.#pictures.get(number);
    if (!picture) {
      picture = this.#load(number, this.#generation);
      this.#pictures.set(number, picture);
      this.#letGo();
    }
    return picture;
  }

  async #load(number, generation) {
    const address = `/videos/${this.#id}/${encodeURIComponent(this.camera)}/${number}.jpg`;
    try {
      const answer = await fetch(address, { cache: "no-store", signal: AbortSignal.timeout(PATIENCE_MS) });
      if (answer.status === 200) return await createImageBitmap(await answer.blob());
    } catch {
      // Fetched again when it is wanted again.
    }
    if (generation === this.#generation) this.#pictures.delete(number);
    return null;
  }

  #letGo() {
    for (const number of this.#pictures.keys()) {
      if (this.#pictures.size <= KEPT) return;
      if (number >= this.#place && number <= this.#place + AHEAD) continue;
      this.#pictures.get(number).then((one) => one?.close());
      this.#pictures.delete(number);
    }
  }

  #draw(picture) {
    if (this.#canvas.width !== picture.width) this.#canvas.width = picture.width;
    if (this.#canvas.height !== picture.height) this.#canvas.height = picture.height;
    this.#canvas.getContext("2d").drawImage(picture, 0, 0);
  }
}

const pause = (ms) => new Promise((done) => setTimeout(done, ms));
