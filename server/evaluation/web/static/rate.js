// The page of raters: look at a recorded trial, judge it, go on to the next.

import { choices } from "./choices.js";
import { isTyping, later, onAction, outbox } from "./page.js";
import { asClock } from "./run_clock.js";
import { ScorePanel } from "./score_panel.js";
import { Video } from "./video.js";

const main = document.getElementById("main");
const find = (name) => document.getElementById(name);

if (main.dataset.video) {
  const { video: id, frames, fps } = main.dataset;
  const video = new Video(find("picture"), id, Number(frames), Number(fps), (one, waiting) => {
    find("place").value = one.place;
    find("at").textContent = asClock(one.seconds);
    find("play").textContent = one.playing ? "Pause" : "Play";
    find("video-said").hidden = !waiting;
    find("video-said").textContent = waiting ? "Waiting for the picture…" : "";
  });

  const step = (by) => {
    video.pause();
    video.go(video.place + by);
  };
  find("play").addEventListener("click", () => video.toggle());
  find("back").addEventListener("click", () => step(-1));
  find("forth").addEventListener("click", () => step(1));
  find("place").addEventListener("input", (event) => {
    video.pause();
    video.go(Number(event.target.value));
  });
  choices("speed", (value) => (video.speed = Number(value)));
  choices("camera", (value) => video.use(value));
  video.use(document.querySelector("[data-camera]").dataset.camera);

  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || isTyping(event)) return;
    if (event.key === " " && !event.target.closest("button, a")) {
      event.preventDefault();
      if (!event.repeat) video.toggle();
    } else if (event.key === "ArrowLeft" || event.key === "ArrowRight") {
      event.preventDefault();
      step(event.key === "ArrowLeft" ? -1 : 1);
    }
  });

  new ScorePanel(find("score"), (judgement) => {
    main.dataset.state = "scored";
    later(`/api/videos/${id}/rate`, judgement, judgement.success ? "success" : "failure", id);
  });
  const judged = outbox.waiting.some((action) => action.trial === id);
  if (judged) main.dataset.state = "scored";
  onAction((answer, action) => {
    if (action?.trial !== id || !answer) return;
    if (answer.kind === "ok") location.href = "/rate";
    if (answer.kind === "refused") main.dataset.state = "awaiting score";
  });
}
