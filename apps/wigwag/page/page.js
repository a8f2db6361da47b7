"use strict";
// One Session per click on Connect. It owns its RTCPeerConnection; what comes late from an older one changes nothing.
// Add #wait to the address to open the page without connecting.

const $ = (id) => document.getElementById(id);
const STEPS = ["signalling", "ice", "dtls", "sctp", "channel"];
const STATES = {
  closed: "Not connected",
  connecting: "Connecting",
  connected: "Connected",
  interrupted: "Interrupted",
  failed: "Failed",
};
const GATHERING_LIMIT = 2000; // no STUN server is asked, so host candidates are all there is
const OPENING_LIMIT = 20000; // after the browser's own verdict on ICE should have come
const sleep = (ms) => new Promise((done) => setTimeout(done, ms));

let session = null;

// ---- words and numbers

const milliseconds = (ms) => (ms >= 10 ? ms.toFixed(0) : ms.toFixed(1));
const megabytes = (bytes) => (bytes / 1e6).toFixed(bytes < 1e7 ? 2 : 1);
function size(bytes) {
  const unit = bytes < 1e3 ? 0 : bytes < 1e6 ? 1 : bytes < 1e9 ? 2 : 3;
  return `${unit ? (bytes / 1e3 ** unit).toFixed(1) : bytes} ${["B", "kB", "MB", "GB"][unit]}`;
}
const kibibytes = (bytes) =>
  Number.isFinite(bytes) ? (bytes ? `${Math.round(bytes / 1024)} KiB` : "no limit") : "no limit";

function showState(state) {
  document.body.dataset.state = state;
  $("state").textContent = STATES[state];
  const active = state !== "closed" && state !== "failed";
  $("connect").textContent = active ? "Disconnect" : "Connect";
  $("connect").classList.toggle("primary", !active);
}

function showError({ title, detail = "", hint = "" }) {
  for (const [part, text] of Object.entries({ title, detail, hint })) {
    $(`error-${part}`).textContent = text;
    $(`error-${part}`).hidden = !text;
  }
  $("error").hidden = false;
}

/** An error whose cause is known well enough to say it to people. */
class Explained extends Error {
  constructor(title, detail, hint) {
    super(title);
    Object.assign(this, { title, detail, hint });
  }
}

/** Lines over one common scale; `null` is a gap (a lost ping) and is left out. */
function drawChart(svg, lines, length) {
  const top = Math.max(...lines.flatMap((line) => line.values.filter((v) => v !== null)), 1e-9) * 1.15;
  svg.innerHTML =
    `<line class="base" x1="0" y1="64" x2="100" y2="64"/>` +
    lines
      .map(({ values, way }) => {
        const points = values.flatMap((v, i) =>
          v === null ? [] : [`${((i / Math.max(length - 1, 1)) * 100).toFixed(2)},${(64 - (v / top) * 62).toFixed(2)}`],
        );
        if (points.length < 2) return "";
        const [first, last] = [points[0].split(",")[0], points.at(-1).split(",")[0]];
        return `<g class="${way}"><polygon points="${first},64 ${points.join(" ")} ${last},64"/><polyline points="${points.join(" ")}"/></g>`;
      })
      .join("");
}

// ---- chat: an ordered channel, so echoes come in the order of what was sent

const chat = {
  open(channel) {
    this.channel = channel;
    this.sentAt = [];
    channel.onmessage = ({ data }) =>
      this.add("echo", data, `${milliseconds(performance.now() - this.sentAt.shift())} ms`);
    this.enable(true);
  },
  close() {
    this.channel = null;
    this.enable(false);
  },
  enable(on) {
    $("chat-input").disabled = $("chat-send").disabled = !on;
    $("chat-input").placeholder = on ? "Write a message" : "Connect first";
  },
  send(text) {
    if (this.channel?.readyState !== "open" || !text) return;
    this.sentAt.push(performance.now());
    this.add("mine", text);
    try {
      this.channel.send(text);
      $("chat-input").value = "";
    } catch (error) {
      this.sentAt.pop();
      this.add("note", `Not sent: ${error.message}`);
    }
  },
  add(kind, text, aside) {
    const line = document.createElement("div");
    line.className = `message ${kind}`;
    line.textContent = text;
    if (aside) line.append(Object.assign(document.createElement("small"), { textContent: aside }));
    $("chat-log").append(line);
    $("chat-log").scrollTop = $("chat-log").scrollHeight;
  },
};

// ---- round trips: 16 bytes, a number and a time, four times a second

const ping = {
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

// ---- throughput: a channel of its own for each run; every chunk is numbered, so a wrong order would be seen

const throughput = {
  BUFFERED: 1 << 20,
  LOW: 1 << 18, // handed to the browser but not sent
  IN_FLIGHT: 8 << 20, // sent but not echoed: so that nobody must hold more for us
  TICK: 200,
  WINDOW: 5, // the live figures are over WINDOW ticks
  DRAIN_LIMIT: 5000,
  enable(on) {
    $("throughput-start").disabled = !on;
    if (!on) this.stop();
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

// ---- the connection

class Session {
  constructor() {
    this.began = performance.now();
    this.over = false;
    this.opened = false;
    $("timeline").replaceChildren();
    for (const step of STEPS) this.step(step, "");
    for (const fact of document.querySelectorAll(".facts dd")) fact.textContent = "–";
    this.pc = new RTCPeerConnection({ iceServers: [] });
    this.channels = {
      chat: this.pc.createDataChannel("chat"),
      unordered: this.pc.createDataChannel("ping", { ordered: false, maxRetransmits: 0 }),
      ordered: this.pc.createDataChannel("ping-ordered"),
    };
    this.watch();
  }

  /** A line of the timeline. */
  log(what, state = "", kind = "") {
    const line = document.createElement("li");
    line.className = kind;
    const time = document.createElement("time");
    time.textContent = `${(performance.now() - this.began).toFixed(0)} ms`;
    const text = document.createElement("div");
    text.append(
      Object.assign(document.createElement("b"), { textContent: what }),
      " ",
      Object.assign(document.createElement("span"), { textContent: state }),
    );
    line.append(time, text);
    $("timeline").append(line);
    $("timeline").scrollTop = $("timeline").scrollHeight;
  }

  /**
   * Marks a step "", "doing", "done" or "failed"; the first time that it was done is kept. With a step, those before it
   * are done: not every browser tells each.
   */
  step(name, state) {
    const item = $(`step-${name}`);
    if (state === "done") {
      if (item.dataset.step === "done") return;
      const before = STEPS[STEPS.indexOf(name) - 1];
      if (before) this.step(before, "done");
    }
    item.dataset.step = state;
    item.querySelector("small").textContent =
      state === "done" ? `${(performance.now() - this.began).toFixed(0)} ms` : "";
    const next = STEPS[STEPS.indexOf(name) + 1];
    if (state === "done" && next && !$(`step-${next}`).dataset.step) this.step(next, "doing");
  }

  watch() {
    const { pc } = this;
    const when = (target, event, act) => target?.addEventListener(event, (e) => this.over || act(e));
    when(pc, "signalingstatechange", () => this.log("Signalling", pc.signalingState));
    when(pc, "icegatheringstatechange", () => this.log("Gathering", pc.iceGatheringState));
    when(
      pc,
      "icecandidate",
      ({ candidate }) =>
        candidate?.candidate && this.log("Candidate", candidate.candidate.split(" ").slice(4, 8).join(" ")),
    );
    when(pc, "iceconnectionstatechange", () => {
      const good = ["connected", "completed"].includes(pc.iceConnectionState);
      this.log("ICE", pc.iceConnectionState, good ? "good" : pc.iceConnectionState === "failed" ? "bad" : "");
      if (good) this.step("ice", "done");
    });
    when(pc, "connectionstatechange", () => {
      const state = pc.connectionState;
      this.log("Connection", state, state === "connected" ? "good" : state === "failed" ? "bad" : "");
      if (state === "failed") this.fail(this.why());
      if (state === "disconnected") this.interrupted();
      if (state === "connected" && this.opened) this.resumed();
    });
    for (const channel of Object.values(this.channels)) {
      channel.binaryType = "arraybuffer";
      when(channel, "open", () => {
        this.log("Channel", `${channel.label} open`, "good");
        if (Object.values(this.channels).every((c) => c.readyState === "open")) this.open();
      });
      when(channel, "close", () => {
        this.log("Channel", `${channel.label} closed`);
        this.fail(new Explained("The server closed the connection.", "", "Connect again when it is back."));
      });
    }
  }

  /** DTLS and SCTP can be watched once the descriptions have made them. */
  watchTransports() {
    const { sctp } = this.pc;
    const watch = (name, step, transport) => {
      if (!transport) return;
      const look = () => {
        if (this.over) return;
        const good = transport.state === "connected";
        this.log(name, transport.state, good ? "good" : transport.state === "failed" ? "bad" : "");
        if (good) this.step(step, "done");
      };
      transport.addEventListener("statechange", look);
      if (transport.state !== "new") look();
    };
    watch("DTLS", "dtls", sctp?.transport);
    watch("SCTP", "sctp", sctp);
  }

  /** One HTTP request with a complete offer; the answer has the server's candidates. */
  async negotiate() {
    const { pc } = this;
    this.log("Offer", "being made");
    this.step("signalling", "doing");
    const gathered = new Promise((done) =>
      pc.addEventListener("icegatheringstatechange", () => pc.iceGatheringState === "complete" && done()),
    );
    await pc.setLocalDescription();
    await Promise.race([gathered, sleep(GATHERING_LIMIT)]);
    if (this.over) return;
    this.log("POST", "/api/echo");
    const answer = await exchange({ type: "offer", sdp: pc.localDescription.sdp });
    if (this.over) return;
    this.remoteCandidates = answer.sdp.match(/^a=candidate:.*$/gm) ?? [];
    this.log(
      "Answer",
      `with ${this.remoteCandidates.length} candidate${this.remoteCandidates.length === 1 ? "" : "s"}`,
    );
    await pc.setRemoteDescription(answer);
    if (this.over) return;
    this.step("signalling", "done");
    this.watchTransports();
    await sleep(OPENING_LIMIT);
    if (!this.opened) this.fail(this.why());
  }

  open() {
    this.opened = true;
    this.step("channel", "done");
    showState("connected");
    $("fact-max-message").textContent = kibibytes(this.pc.sctp?.maxMessageSize);
    chat.open(this.channels.chat);
    ping.open({ unordered: this.channels.unordered, ordered: this.channels.ordered });
    throughput.enable(true);
    this.poll();
  }

  async interrupted() {
    showState("interrupted");
    if (!(await serverAnswers()) && !this.over && this.pc.connectionState === "disconnected") {
      showError({
        title: "The server has gone.",
        detail: "It answers neither on the connection nor on HTTP.",
        hint: "If it comes back within half a minute, this goes on by itself; a server started anew needs a new connection.",
      });
    }
  }

  resumed() {
    showState("connected");
    $("error").hidden = true;
  }

  /** What a failed or stuck connection most likely means. */
  why() {
    if (this.opened)
      return new Explained(
        "The connection was lost.",
        "Nothing came back from the server any more.",
        "Check that it runs, then connect again.",
      );
    if (["connected", "completed"].includes(this.pc.iceConnectionState)) {
      return new Explained(
        "The secure channel did not open.",
        `ICE found a way, but DTLS is “${this.pc.sctp?.transport?.state ?? "unknown"}” and SCTP “${this.pc.sctp?.state ?? "unknown"}”.`,
        "The server's log (--log debug) says more.",
      );
    }
    const tried = this.remoteCandidates?.map((line) => line.split(" ").slice(4, 6).join(":")).join(", ");
    return new Explained(
      "ICE failed: no way through the network was found.",
      tried ? `Tried to reach the server at UDP ${tried}.` : "The server's answer had no candidate.",
      "From another machine, start the server with --ice-address and the address it is reached at, and let its --udp-port through.",
    );
  }

  async poll() {
    while (!this.over) {
      const facts = await this.facts().catch(() => ({}));
      if (this.over) return;
      for (const [name, value] of Object.entries(facts)) $(`fact-${name}`).textContent = value;
      const pair = facts.local && `${facts.local} ↔ ${facts.remote}`;
      if (pair && pair !== this.pair) this.log("Pair", (this.pair = pair));
      await sleep(1000);
    }
  }

  /** The few statistics that are shown, as text. */
  async facts() {
    const all = [...(await this.pc.getStats()).values()];
    const transport = all.find((s) => s.type === "transport");
    const pair = all.find(
      (s) =>
        s.type === "candidate-pair" &&
        (transport?.selectedCandidatePairId
          ? s.id === transport.selectedCandidatePairId
          : (s.selected ?? (s.nominated && s.state === "succeeded"))),
    );
    const end = (id) => {
      const candidate = all.find((s) => s.id === id);
      const address = candidate?.address ?? candidate?.ip ?? "hidden";
      return (
        candidate &&
        `${candidate.candidateType} ${address.includes(":") ? `[${address}]` : address}:${candidate.port ?? "?"}`
      );
    };
    const version = { FEFF: "1.0", FEFD: "1.2", FEFC: "1.3" }[transport?.tlsVersion?.toUpperCase()];
    const bytes = (way) => transport?.[way] ?? pair?.[way];
    return {
      local: end(pair?.localCandidateId) ?? "–",
      remote: end(pair?.remoteCandidateId) ?? "–",
      rtt: Number.isFinite(pair?.currentRoundTripTime) ? `${milliseconds(pair.currentRoundTripTime * 1000)} ms` : "–",
      dtls: version ?? this.pc.sctp?.transport?.state ?? "–",
      cipher: transport?.dtlsCipher ?? "not told by this browser",
      sent: size(bytes("bytesSent") ?? 0),
      received: size(bytes("bytesReceived") ?? 0),
    };
  }

  async fail(error) {
    if (this.over) return;
    this.end("failed");
    this.log("Failed", error.title ?? String(error), "bad");
    document.querySelector('[data-step="doing"]')?.setAttribute("data-step", "failed");
    showError(
      error.title ? error : { title: "The connection could not be made.", detail: String(error.message ?? error) },
    );
    if (this.opened && !(await serverAnswers()) && session === this) {
      showError({
        title: "The server has gone.",
        detail: "The connection ended, and it does not answer on HTTP either.",
        hint: "Start it again, then connect.",
      });
    }
  }

  end(state = "closed") {
    if (this.over) return;
    this.over = true;
    throughput.enable(false);
    ping.close();
    chat.close();
    this.pc.close();
    showState(state);
    if (state === "closed") this.log("Closed", "from here");
  }
}

/** Sends the offer, gets the answer; every way that this can go wrong has its own words. */
async function exchange(offer) {
  const response = await fetch("/api/echo", {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify(offer),
  }).catch(() => {
    throw new Explained(
      "The server does not answer.",
      "The offer could not be delivered over HTTP.",
      "Check that it still runs, then connect again.",
    );
  });
  const body = await response.text();
  const json = (() => {
    try {
      return JSON.parse(body);
    } catch {
      return null;
    }
  })();
  if (!response.ok)
    throw new Explained(`The server refused the offer (HTTP ${response.status}).`, json?.error ?? body.slice(0, 300));
  if (json?.type !== "answer" || typeof json.sdp !== "string")
    throw new Explained("The server's reply is not an answer.", body.slice(0, 300));
  return json;
}

const serverAnswers = () =>
  fetch("/", { method: "HEAD", cache: "no-store", signal: AbortSignal.timeout(3000) }).then(
    () => true,
    () => false,
  );

async function connect() {
  session?.end();
  $("error").hidden = true;
  if (typeof RTCPeerConnection === "undefined") {
    showState("failed");
    return showError({
      title: "WebRTC is not available.",
      detail: "This browser has no RTCPeerConnection, or an extension or a policy has taken it away.",
      hint: "Chrome, Edge, Firefox and Safari have it.",
    });
  }
  let mine;
  try {
    mine = session = new Session();
    showState("connecting");
    await mine.negotiate();
  } catch (error) {
    if (mine) mine.fail(error);
    else {
      showState("failed");
      showError({ title: "The connection could not be made.", detail: String(error.message ?? error) });
    }
  }
}

$("connect").addEventListener("click", () => (session && !session.over ? session.end() : connect()));
$("chat-form").addEventListener("submit", (event) => {
  event.preventDefault();
  chat.send($("chat-input").value);
  $("chat-input").focus();
});
for (const way of document.querySelectorAll('[name="ping"]')) way.addEventListener("change", () => ping.reset());
$("throughput-start").addEventListener("click", () =>
  throughput.run ? throughput.stop() : throughput.start(session.pc),
);
addEventListener("pagehide", () => session?.end());

/** For the console and for tests. */
window.wigwag = {
  connect,
  disconnect: () => session?.end(),
  get pc() {
    return session?.pc ?? null;
  },
  get channels() {
    return session?.channels ?? {};
  },
  get samples() {
    return ping.samples ?? [];
  },
  stats: () => session?.facts(),
};

ping.reset();
drawChart($("throughput-chart"), [], 1);
if (location.hash !== "#wait") connect();
