// The five steps from a click to an open channel, and what happened when.
import { $, element } from "./dom.js";

const STEPS = ["signalling", "ice", "dtls", "sctp", "channel"];

export class Timeline {
  constructor() {
    this.began = performance.now();
    $("timeline").replaceChildren();
    for (const name of STEPS) this.step(name, "");
  }

  /** Since the click, in milliseconds. */
  get elapsed() {
    return performance.now() - this.began;
  }

  log(what, state = "", kind = "") {
    const text = element("div", {}, element("b", { textContent: what }), " ", element("span", { textContent: state }));
    const time = element("time", { textContent: `${this.elapsed.toFixed(0)} ms` });
    $("timeline").append(element("li", { className: kind }, time, text));
    $("timeline").scrollTop = $("timeline").scrollHeight;
  }

  /**
   * Marks a step "", "doing", "done" or "failed"; the first time that it was done is kept. With a step, those before it
   * are done: not every browser tells each.
   */
  step(name, state) {
    const item = $(`step-${name}`);
    const at = STEPS.indexOf(name);
    if (state === "done") {
      if (item.dataset.step === "done") return;
      if (at > 0) this.step(STEPS[at - 1], "done");
    }
    item.dataset.step = state;
    item.querySelector("small").textContent = state === "done" ? `${this.elapsed.toFixed(0)} ms` : "";
    const next = STEPS[at + 1];
    if (state === "done" && next && !$(`step-${next}`).dataset.step) this.step(next, "doing");
  }

  /** What was being done has failed. */
  fail() {
    document.querySelector('#steps [data-step="doing"]')?.setAttribute("data-step", "failed");
  }
}
