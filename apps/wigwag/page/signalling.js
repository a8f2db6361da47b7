// Signalling: one HTTP request carries a complete offer, its response the answer.
import { Explained } from "./dom.js";

/** Sends the offer, gets the answer; every way that this can go wrong has its own words. */
export async function exchange(offer) {
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
  const json = parsed(body);
  if (!response.ok)
    throw new Explained(`The server refused the offer (HTTP ${response.status}).`, json?.error ?? body.slice(0, 300));
  if (json?.type !== "answer" || typeof json.sdp !== "string")
    throw new Explained("The server's reply is not an answer.", body.slice(0, 300));
  return json;
}

function parsed(text) {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}

export const serverAnswers = () =>
  fetch("/", { method: "HEAD", cache: "no-store", signal: AbortSignal.timeout(3000) }).then(
    () => true,
    () => false,
  );

/** The server's own numbers of connection `id`; `null` when it tells none. */
export async function serverStats(id) {
  const response = await fetch(`/api/stats/${encodeURIComponent(id)}`, {
    cache: "no-store",
    signal: AbortSignal.timeout(3000),
  });
  return response.ok ? response.json() : null;
}
