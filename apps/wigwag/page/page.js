// The page: one connection at a time, and the tabs that use it.
// In the address: #files (any tab's name) opens that tab; #wait opens the page without connecting; both: #wait,files.
import { Call } from "./call.js";
import { chat } from "./chat.js";
import { Session } from "./connection.js";
import { $, Explained, kibibytes, showExplained } from "./dom.js";
import { clearFacts, factsOf, showFacts } from "./facts.js";
import { files } from "./files.js";
import { camera, screen } from "./media-source.js";
import { ping } from "./ping.js";
import { stats } from "./stats.js";
import { words } from "./tabs.js";
import { throughput } from "./throughput.js";

const STATES = {
  closed: "Not connected",
  connecting: "Connecting",
  connected: "Connected",
  interrupted: "Interrupted",
  failed: "Failed",
};

const calls = {
  call: new Call($("call"), {
    title: "Call the echo",
    start: "Start camera and microphone",
    instead: "A moving picture instead",
    open: camera,
    isCamera: true,
  }),
  screen: new Call($("screen"), {
    title: "Share the screen with the echo",
    start: "Share a screen",
    instead: "A moving picture instead",
    open: screen,
    isCamera: false,
  }),
};

let session = null;

function showState(state) {
  document.body.dataset.state = state;
  $("state").textContent = STATES[state];
  const active = state !== "closed" && state !== "failed";
  $("connect").textContent = active ? "Disconnect" : "Connect";
  $("connect").classList.toggle("primary", !active);
}

const showError = (error) => showExplained($("error"), error);

/** What works only while connected. */
function use(session) {
  if (session) {
    chat.open(session.channels.chat);
    ping.open({ unordered: session.channels.unordered, ordered: session.channels.ordered });
  } else {
    chat.close();
    ping.close();
  }
  throughput.enable(session?.pc ?? null);
  files.enable(session?.pc ?? null);
  stats.use(session);
  for (const call of Object.values(calls)) call.use(session);
}

function connect() {
  session?.end();
  showError(null);
  clearFacts();
  if (typeof RTCPeerConnection === "undefined") {
    showState("failed");
    return showError(
      new Explained(
        "WebRTC is not available.",
        "This browser has no RTCPeerConnection, or an extension or a policy has taken it away.",
        "Chrome, Edge, Firefox and Safari have it.",
      ),
    );
  }
  try {
    const mine = (session = new Session());
    const on = (type, act) => mine.addEventListener(type, ({ detail }) => session === mine && act(detail));
    on("state", showState);
    on("error", showError);
    on("open", () => {
      $("fact-max-message").textContent = kibibytes(mine.pc.sctp?.maxMessageSize);
      use(mine);
    });
    on("report", (report) => showReport(mine, report));
    on("end", () => use(null));
    return mine.connect();
  } catch (error) {
    showState("failed");
    showError(Explained.from(error, "The connection could not be made."));
  }
}

function showReport(mine, report) {
  const facts = factsOf(report, mine.pc.sctp);
  showFacts(facts);
  const pair = `${facts.local} ↔ ${facts.remote}`;
  if (facts.local !== "–" && pair !== mine.pair) mine.timeline.log("Pair", (mine.pair = pair));
}

$("connect").addEventListener("click", () => (session && !session.over ? session.end() : connect()));
addEventListener("pagehide", () => session?.end());

/** For the console and for tests. */
window.wigwag = {
  connect,
  disconnect: () => session?.end(),
  get session() {
    return session;
  },
  get pc() {
    return session?.pc ?? null;
  },
  get channels() {
    return session?.channels ?? {};
  },
  get samples() {
    return ping.samples;
  },
  calls,
  files,
  stats: async () => factsOf(await session.pc.getStats(), session.pc.sctp),
};

use(null);
if (!words().includes("wait")) connect();
