// What the browser's statistics say of one transceiver.

const of = (report, wanted) => [...report.values()].find(({ type }) => type === wanted);

function describe(stats, report) {
  if (!stats) return "nothing yet";
  const { frameWidth, frameHeight, framesPerSecond, codecId } = stats;
  const codec = report.get(codecId)?.mimeType?.split("/")[1];
  const rate = Number.isFinite(framesPerSecond) ? `${framesPerSecond.toFixed(0)} frames/s` : "";
  return [frameWidth ? `${frameWidth} × ${frameHeight}` : "", rate, codec].filter(Boolean).join(", ") || "nothing yet";
}

/** What goes out: `rtt` is in seconds, as the server's reports tell it. */
export async function sentOf({ sender }) {
  const report = await sender.getStats();
  return { text: describe(of(report, "outbound-rtp"), report), rtt: of(report, "remote-inbound-rtp")?.roundTripTime };
}

/** What comes back. */
export async function backOf({ receiver }) {
  const report = await receiver.getStats();
  const inbound = of(report, "inbound-rtp");
  return { text: describe(inbound, report), level: level(inbound) };
}

/** How loud (audioLevel is linear, of full scale). Of what is muted not every browser tells a level. */
function level(inbound) {
  if (!inbound?.packetsReceived) return "nothing yet";
  return inbound.audioLevel > 0 ? `${(20 * Math.log10(inbound.audioLevel)).toFixed(0)} dB` : "comes back";
}
