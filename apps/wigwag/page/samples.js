// One second of a connection in numbers, from the browser's getStats() and from the server's /api/stats. What is not
// known is null. Rates are in bits per second, times in milliseconds, losses between 0 and 1.
import { endOf, selected } from "./facts.js";

const number = (value) => (Number.isFinite(value) ? value : null);
const rate = (now, then, seconds) => (Number.isFinite(now - then) ? Math.max(0, ((now - then) * 8) / seconds) : null);
const lossOf = (lost, packets) => (packets + lost > 0 ? Math.max(0, lost) / (packets + Math.max(0, lost)) : null);
const most = (values) => values.filter(Number.isFinite).reduce((most, value) => Math.max(most ?? 0, value), null);
const total = (values) => values.reduce((sum, value) => sum + (value ?? 0), 0);

const ofType = (report, type, kind) =>
  [...report.values()].filter((stats) => stats.type === type && (!kind || stats.kind === kind));

function bytesOf(report, way) {
  const { transport, pair } = selected(report);
  return transport?.[way] ?? pair?.[way];
}

export function browserSample(report, before, seconds) {
  const { pair } = selected(report);
  const inbound = ofType(report, "inbound-rtp");
  const grown = (name) => total(inbound.map((stats) => stats[name] - (before.get(stats.id)?.[name] ?? 0)));
  const jitter = most(inbound.map((stats) => stats.jitter));
  return {
    sent: rate(bytesOf(report, "bytesSent"), bytesOf(before, "bytesSent"), seconds),
    received: rate(bytesOf(report, "bytesReceived"), bytesOf(before, "bytesReceived"), seconds),
    rtt: pair?.currentRoundTripTime === undefined ? null : number(pair.currentRoundTripTime * 1000),
    loss: lossOf(grown("packetsLost"), grown("packetsReceived")),
    jitter: jitter === null ? null : jitter * 1000,
    framesSent: most(ofType(report, "outbound-rtp", "video").map((stats) => stats.framesPerSecond)),
    framesReceived: most(ofType(report, "inbound-rtp", "video").map((stats) => stats.framesPerSecond)),
  };
}

/** The media's cipher, as the browser names it. */
export const srtpCipher = (report) => selected(report).transport?.srtpCipher ?? null;

export function serverSample(server, before, seconds) {
  const inbound = (stats) => (stats.media ?? []).map((media) => media.inbound).filter(Boolean);
  const count = (stats, name) => total(inbound(stats).map((media) => media[name]));
  const grown = (name) => count(server, name) - count(before, name);
  return {
    sent: rate(server.sent?.bytes, before.sent?.bytes, seconds),
    received: rate(server.received?.bytes, before.received?.bytes, seconds),
    rtt: number(server.path?.rtt_ms),
    loss: lossOf(grown("lost"), grown("packets")),
    jitter: most(inbound(server).map((media) => media.jitter_ms)),
  };
}

/** Every pair that was tried, the selected one first. */
export function candidatePairs(report) {
  const { pair: chosen } = selected(report);
  return ofType(report, "candidate-pair")
    .sort((a, b) => (b.id === chosen?.id) - (a.id === chosen?.id))
    .map((pair) => ({
      local: endOf(report, pair.localCandidateId),
      remote: endOf(report, pair.remoteCandidateId),
      state: pair.id === chosen?.id ? "selected" : pair.state,
      rtt: pair.currentRoundTripTime,
      sent: pair.bytesSent ?? 0,
      received: pair.bytesReceived ?? 0,
    }));
}
