// Throughput, there and back at once: a channel of its own for each run; every chunk is numbered, so a wrong order would
// be seen.
import { drawChart } from "./chart.js";
import { $, megabytes, size, sleep } from "./dom.js";

export const throughput = {
  BUFFERED: 1 << 20,
  LOW: 1 << 18, // handed to the browser but not sent
  IN_FLIGHT: 8 << 20, // sent but not echoed: so that nobody must hold more for us
  TICK: 200,
  WINDOW: 5, // the live figures are over WINDOW ticks
  DRAIN_LIMIT: 5000,
  /** With a connection it can be started; without (`null`), it stops. */
  enable(pc) {
    this.pc = pc;
    $("throughput-start").disabled = !pc;
    if (!pc) this.stop();
  },
  stop() {
    if (this.run) this.run.stopped = true;
  },
  async start(pc) {
    const seconds = Number($("throughput-seconds").value);
    const chunk = new Uint8Array(Math.min(Number($("throughput-chunk").value), pc.sctp?.maxMessageSize || 65536));
    for (let i = 4; i < chunk.length; i++) chunk[i] = (i * 31) & 255;
    const run = (this.run = {
      stopped: false,
      sent: 0,
      received: 0,
      next: 0,
      expected: 0,
      disorder: 0,
      rates: { up: [], down: [] },
    });
    const channel = pc.createDataChannel("throughput");
    channel.binaryType = "arraybuffer";
    channel.bufferedAmountLowThreshold = this.LOW;
    this.show("Stop", "Opening a channel …");
    try {
      await Promise.race([new Promise((done) => (channel.onopen = channel.onclose = done)), sleep(this.DRAIN_LIMIT)]);
      if (channel.readyState !== "open") throw Error("the channel did not open");
      const lost = new Promise((_, failed) => (channel.onclose = () => failed(Error("the channel was closed"))));
      await Promise.race([this.transfer(run, channel, chunk, seconds), lost]);
    } catch (error) {
      $("throughput-summary").textContent = `Stopped: ${error.message}.`;
    } finally {
      run.stopped = true;
      channel.onclose = null;
      channel.close();
      this.run = null;
      $("throughput-start").textContent = "Start";
    }
  },
  async transfer(run, channel, chunk, seconds) {
    const number = new DataView(chunk.buffer);
    let ended = false;
    const pump = () => {
      while (
        !ended &&
        !run.stopped &&
        channel.readyState === "open" &&
        channel.bufferedAmount < this.BUFFERED &&
        run.sent - run.received < this.IN_FLIGHT
      ) {
        number.setUint32(0, run.next++);
        channel.send(chunk);
        run.sent += chunk.length;
      }
    };
    channel.onbufferedamountlow = pump;
    channel.onmessage = ({ data }) => {
      if (data.byteLength !== chunk.length || new DataView(data).getUint32(0) !== run.expected++) run.disorder += 1;
      run.received += data.byteLength;
      pump();
    };
    const began = performance.now();
    const marks = [{ at: began, up: 0, down: 0 }];
    const mark = () => {
      marks.push({ at: performance.now(), up: run.sent - channel.bufferedAmount, down: run.received });
      return marks.at(-1);
    };
    this.show("Stop", `Running for ${seconds} s …`);
    pump();
    while (!run.stopped && performance.now() - began < seconds * 1000) {
      await sleep(this.TICK);
      const now = mark();
      const then = marks[Math.max(0, marks.length - 1 - this.WINDOW)];
      this.figures(run, now, then, Math.round((seconds * 1000) / this.TICK));
      $("throughput-progress").value = Math.min(1, (now.at - began) / (seconds * 1000));
    }
    ended = true;
    const last = mark();
    for (let left = this.DRAIN_LIMIT; run.received < run.sent && left > 0; left -= 50) await sleep(50);
    this.figures(null, last, marks[0]);
    const whole = run.received === run.sent && !run.disorder;
    $("throughput-summary").textContent =
      `${((last.at - began) / 1000).toFixed(1)} s: ${megabytes(run.sent)} MB up, ${megabytes(run.received)} MB down. ` +
      (whole
        ? "Every byte came back, in order."
        : run.disorder
          ? `${run.disorder} chunks came back wrong.`
          : `${size(run.sent - run.received)} did not come back.`);
  },
  figures(run, now, then, length) {
    for (const way of ["up", "down"]) {
      const rate = ((now[way] - then[way]) / (now.at - then.at)) * 1000;
      $(`throughput-${way}`).textContent = megabytes(rate);
      run?.rates[way].push(rate);
    }
    if (run)
      drawChart(
        $("throughput-chart"),
        [
          { values: run.rates.up, way: "up" },
          { values: run.rates.down, way: "down" },
        ],
        Math.max(length, run.rates.up.length),
      );
  },
  show(button, words) {
    $("throughput-start").textContent = button;
    $("throughput-summary").textContent = words;
  },
};

$("throughput-start").addEventListener("click", () =>
  throughput.run ? throughput.stop() : throughput.start(throughput.pc),
);
drawChart($("throughput-chart"), [], 1);
