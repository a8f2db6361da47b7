// Round trips: 16 bytes, a number and a time, four times a second, on an unordered and lossy or on an ordered channel.
import { drawChart } from "./chart.js";
import { $, milliseconds } from "./dom.js";

export const ping = {
  KEPT: 120,
  INTERVAL: 250,
  LOST_AFTER: 2000,
  open(channels) {
    this.channels = channels;
    for (const channel of Object.values(channels)) channel.onmessage = ({ data }) => this.echo(channel, data);
    this.reset();
    this.timer = setInterval(() => this.tick(), this.INTERVAL);
    this.tick();
  },
  close() {
    clearInterval(this.timer);
    this.channels = null;
  },
  reset() {
    Object.assign(this, { samples: [], outstanding: new Map(), number: 0, lost: 0 });
    for (const id of ["rtt", "rtt-median", "rtt-worst", "rtt-lost"]) $(id).textContent = "–";
    drawChart($("rtt-chart"), [], this.KEPT);
  },
  tick() {
    const now = performance.now();
    for (const [number, at] of this.outstanding) {
      if (now - at < this.LOST_AFTER) break;
      this.outstanding.delete(number);
      this.lost += 1;
      this.push(null);
    }
    const channel = this.channels[$("ping-ordered").checked ? "ordered" : "unordered"];
    if (channel.readyState !== "open") return;
    this.outstanding.set(++this.number, now);
    channel.send(new Float64Array([this.number, now]));
  },
  echo(channel, data) {
    const now = performance.now();
    const [number, at] = new Float64Array(data);
    if (this.outstanding.get(number) !== at) return; // late, or from before a reset
    this.outstanding.delete(number);
    this.push(now - at);
  },
  push(sample) {
    this.samples.push(sample);
    if (this.samples.length > this.KEPT) this.samples.shift();
    const sorted = this.samples.filter((s) => s !== null).sort((a, b) => a - b);
    if (sorted.length) {
      if (sample !== null) $("rtt").textContent = milliseconds(sample);
      $("rtt-median").textContent = milliseconds(sorted[sorted.length >> 1]);
      $("rtt-worst").textContent = milliseconds(sorted.at(-1));
    }
    $("rtt-lost").textContent = this.lost;
    drawChart($("rtt-chart"), [{ values: this.samples, way: "down" }], this.KEPT);
  },
};

for (const way of document.querySelectorAll('[name="ping"]')) way.addEventListener("change", () => ping.reset());
ping.reset();
