// The few facts beside the timeline, from the browser's statistics.
import { $, milliseconds, size } from "./dom.js";

const DTLS_VERSIONS = { FEFF: "1.0", FEFD: "1.2", FEFC: "1.3" };

/** The transport's statistics and its selected candidate pair. */
export function selected(report) {
  const all = [...report.values()];
  const transport = all.find(({ type }) => type === "transport");
  const isSelected = (pair) =>
    transport?.selectedCandidatePairId
      ? pair.id === transport.selectedCandidatePairId
      : (pair.selected ?? (pair.nominated && pair.state === "succeeded"));
  const pair = all.find((stats) => stats.type === "candidate-pair" && isSelected(stats));
  return { transport, pair };
}

export function endOf(report, id) {
  const candidate = report.get(id);
  if (!candidate) return "–";
  const address = candidate.address ?? candidate.ip ?? "hidden";
  const host = address.includes(":") ? `[${address}]` : address;
  return `${candidate.candidateType} ${host}:${candidate.port ?? "?"}`;
}

/** They as text, by their names in the page. */
export function factsOf(report, sctp) {
  const { transport, pair } = selected(report);
  const bytes = (way) => transport?.[way] ?? pair?.[way] ?? 0;
  const rtt = pair?.currentRoundTripTime;
  return {
    local: endOf(report, pair?.localCandidateId),
    remote: endOf(report, pair?.remoteCandidateId),
    rtt: Number.isFinite(rtt) ? `${milliseconds(rtt * 1000)} ms` : "–",
    dtls: DTLS_VERSIONS[transport?.tlsVersion?.toUpperCase()] ?? sctp?.transport?.state ?? "–",
    cipher: transport?.dtlsCipher ?? "not told by this browser",
    sent: size(bytes("bytesSent")),
    received: size(bytes("bytesReceived")),
  };
}

export function showFacts(facts) {
  for (const [name, value] of Object.entries(facts)) $(`fact-${name}`).textContent = value;
}

export function clearFacts() {
  for (const fact of document.querySelectorAll("#connection .facts dd")) fact.textContent = "–";
}
