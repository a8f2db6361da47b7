// The tab for statistics: both ends' numbers, once a second, as charts and as tables.
import { drawChart } from "./chart.js";
import { $, bitrate, element, milliseconds, size } from "./dom.js";
import { factsOf } from "./facts.js";
import { browserSample, candidatePairs, serverSample, srtpCipher } from "./samples.js";
import { serverStats } from "./signalling.js";

const KEPT = 60; // seconds on a chart

const time = (ms) => `${milliseconds(ms)} ms`;
const share = (value) => `${(value * 100).toFixed(value && value < 0.1 ? 2 : 0)} %`;
const frames = (value) => value.toFixed(0);

/** Each chart has two lines: [whose, which number, words]. The first is red, the second blue. */
const CHARTS = [
  ["Browser to server", bitrate, ["browser", "sent", "sent here"], ["server", "received", "received there"]],
  ["Server to browser", bitrate, ["server", "sent", "sent there"], ["browser", "received", "received here"]],
  ["Round trip", time, ["browser", "rtt", "measured here"], ["server", "rtt", "measured there"]],
  ["Media packets lost", share, ["server", "loss", "on the way there"], ["browser", "loss", "on the way back"]],
  ["Jitter", time, ["server", "jitter", "on the way there"], ["browser", "jitter", "on the way back"]],
  ["Frames per second", frames, ["browser", "framesSent", "sent"], ["browser", "framesReceived", "came back"]],
];

class Chart {
  constructor([title, format, ...lines]) {
    const card = $("chart-template").content.cloneNode(true);
    card.querySelector("h3").textContent = title;
    this.svg = card.querySelector("svg");
    this.svg.setAttribute("aria-label", `${title}, the last minute`);
    this.format = format;
    this.lines = lines.map(([whose, which, words], i) => {
      const way = ["up", "down"][i];
      const value = element("dd", { textContent: "–" });
      card
        .querySelector("dl")
        .append(element("div", {}, element("dt", { className: `key ${way}`, textContent: words }), value));
      return { whose, which, way, value, values: [] };
    });
    $("stats-charts").append(card);
    this.draw();
  }

  clear() {
    for (const line of this.lines) line.values = [];
    this.draw();
  }

  push(samples) {
    for (const line of this.lines) {
      line.values.push(samples[line.whose]?.[line.which] ?? null);
      if (line.values.length > KEPT) line.values.shift();
    }
    this.draw();
  }

  draw() {
    for (const { value, values } of this.lines) {
      const last = values.at(-1) ?? null;
      value.textContent = last === null ? "–" : this.format(last);
    }
    drawChart(this.svg, this.lines, KEPT);
  }
}

const charts = CHARTS.map((chart) => new Chart(chart));

const row = (cells, name = "td") =>
  element("tr", {}, ...cells.map((cell) => element(name, { textContent: cell ?? "–" })));

function table(id, heads, rows, none) {
  $(id).replaceChildren(
    element("thead", {}, row(heads, "th")),
    element("tbody", {}, ...(rows.length ? rows.map((cells) => row(cells)) : [row([none])])),
  );
  if (!rows.length) $(id).querySelector("td").colSpan = heads.length;
}

function showTables(report, server, facts) {
  const path = server?.path;
  table(
    "stats-ends",
    ["", "this browser", "the server"],
    [
      ["local address", facts.local, path?.local],
      ["remote address", facts.remote, path?.remote],
      ["DTLS", facts.dtls, server?.dtls],
      ["cipher of the channels", facts.cipher, null],
      ["cipher of the media", srtpCipher(report), server?.srtp],
      ["sent", facts.sent, server && size(server.sent?.bytes ?? 0)],
      ["received", facts.received, server && size(server.received?.bytes ?? 0)],
      ["media packets refused", null, server?.srtp_dropped],
    ],
  );
  table(
    "stats-media",
    ["m-line", "codec", "direction", "in", "lost", "jitter", "NACK", "PLI", "out", "again"],
    (server?.media ?? []).map(({ mid, kind, codec, direction, inbound, outbound }) => [
      `${mid} ${kind}`,
      codec,
      direction,
      inbound && `${inbound.packets} packets`,
      inbound?.lost,
      Number.isFinite(inbound?.jitter_ms) ? time(inbound.jitter_ms) : null,
      `${inbound?.nacks_sent ?? "–"} / ${outbound?.nacks_received ?? "–"}`,
      `${inbound?.plis_sent ?? "–"} / ${outbound?.plis_received ?? "–"}`,
      outbound && `${outbound.packets} packets`,
      outbound?.retransmitted,
    ]),
    "No audio or video at the moment: the tab Call has some.",
  );
  table(
    "stats-pairs",
    ["here", "there", "state", "round trip", "sent", "received"],
    candidatePairs(report).map(({ local, remote, state, rtt, sent, received }) => [
      local,
      remote,
      state,
      Number.isFinite(rtt) ? time(rtt * 1000) : null,
      size(sent),
      size(received),
    ]),
    "No pairs yet.",
  );
}

export const stats = {
  use(session) {
    this.session = session;
    this.before = null;
    this.tells = true;
    if (!session) return;
    for (const chart of charts) chart.clear();
    $("stats-state").textContent = "";
    session.addEventListener("report", ({ detail }) => this.take(session, detail));
  },
  async take(session, report) {
    const server = this.tells && session.id ? await serverStats(session.id).catch(() => undefined) : null;
    if (this.session !== session) return;
    if (server === null) this.tells = false; // it said so: it is not asked again on this connection
    const at = performance.now();
    const then = this.before;
    this.before = { at, report, server };
    if (!then) return;
    const seconds = (at - then.at) / 1000;
    const samples = {
      browser: browserSample(report, then.report, seconds),
      server: server && then.server ? serverSample(server, then.server, seconds) : null,
    };
    for (const chart of charts) chart.push(samples);
    $("stats-state").textContent = this.tells ? "" : "This server tells no statistics of its own.";
    if (!$("stats").hidden) showTables(report, server, factsOf(report, session.pc.sctp));
  },
};
