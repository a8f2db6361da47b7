// One Session per click on Connect. It owns its RTCPeerConnection; what comes late from an older one changes nothing.
// Negotiations, the first and all that media want later, run one after the other.
import { Explained, sleep } from "./dom.js";
import { exchange, serverAnswers } from "./signalling.js";
import { Timeline } from "./timeline.js";

const GATHERING_LIMIT = 2000; // no STUN server is asked, so host candidates are all there is
const OPENING_LIMIT = 20000; // after the browser's own verdict on ICE should have come
const POLL_INTERVAL = 1000;

/** Events: "state" (`detail`: closed, connecting, connected, interrupted, failed), "open", "error", "report", "end". */
export class Session extends EventTarget {
  constructor() {
    super();
    this.timeline = new Timeline();
    this.over = false;
    this.opened = false;
    this.id = null; // the server's name for this connection; what has none can't be renegotiated
    this.negotiating = Promise.resolve();
    this.pc = new RTCPeerConnection({ iceServers: [], bundlePolicy: "max-bundle" });
    this.channels = {
      chat: this.pc.createDataChannel("chat"),
      unordered: this.pc.createDataChannel("ping", { ordered: false, maxRetransmits: 0 }),
      ordered: this.pc.createDataChannel("ping-ordered"),
    };
    this.watch();
  }

  tell(type, detail) {
    this.dispatchEvent(new CustomEvent(type, { detail }));
  }

  watch() {
    const { pc, timeline } = this;
    const when = (target, event, act) => target.addEventListener(event, (e) => this.over || act(e));
    const kind = (state, good) => (good ? "good" : state === "failed" ? "bad" : "");
    when(pc, "signalingstatechange", () => timeline.log("Signalling", pc.signalingState));
    when(pc, "icegatheringstatechange", () => timeline.log("Gathering", pc.iceGatheringState));
    when(pc, "icecandidate", ({ candidate }) => {
      if (candidate?.candidate) timeline.log("Candidate", candidate.candidate.split(" ").slice(4, 8).join(" "));
    });
    when(pc, "iceconnectionstatechange", () => {
      const good = ["connected", "completed"].includes(pc.iceConnectionState);
      timeline.log("ICE", pc.iceConnectionState, kind(pc.iceConnectionState, good));
      if (good) timeline.step("ice", "done");
    });
    when(pc, "connectionstatechange", () => {
      const state = pc.connectionState;
      timeline.log("Connection", state, kind(state, state === "connected"));
      if (state === "failed") this.fail(this.why());
      if (state === "disconnected") this.interrupted();
      if (state === "connected" && this.opened) this.resumed();
    });
    for (const channel of Object.values(this.channels)) {
      channel.binaryType = "arraybuffer";
      when(channel, "open", () => {
        timeline.log("Channel", `${channel.label} open`, "good");
        if (Object.values(this.channels).every(({ readyState }) => readyState === "open")) this.open();
      });
      when(channel, "close", () => {
        timeline.log("Channel", `${channel.label} closed`);
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
        this.timeline.log(name, transport.state, good ? "good" : transport.state === "failed" ? "bad" : "");
        if (good) this.timeline.step(step, "done");
      };
      transport.addEventListener("statechange", look);
      if (transport.state !== "new") look();
    };
    watch("DTLS", "dtls", sctp?.transport);
    watch("SCTP", "sctp", sctp);
  }

  /** The first offer and answer, until the channels are open or it is clear that they won't be. */
  async connect() {
    this.tell("state", "connecting");
    try {
      this.timeline.step("signalling", "doing");
      const work = this.negotiate();
      this.negotiating = work.catch(() => {});
      const answer = await work;
      if (this.over) return;
      this.remoteCandidates = answer.match(/^a=candidate:.*$/gm) ?? [];
      this.timeline.step("signalling", "done");
      this.watchTransports();
      await sleep(OPENING_LIMIT);
      if (!this.opened) this.fail(this.why());
    } catch (error) {
      this.fail(Explained.from(error, "The connection could not be made."));
    }
  }

  /**
   * Changes the connection (`change(pc)` adds, stops or redirects) and agrees on it with the server; gives the answer's
   * SDP. If that fails, the descriptions are as before; what `change` did is the caller's to undo.
   */
  renegotiate(change = () => {}) {
    const work = this.negotiating.then(async () => {
      if (this.over) throw new Explained("The connection is over.");
      if (!this.id) throw new Explained("The server can't change this connection.", "It gave it no id.");
      await change(this.pc);
      return this.negotiate();
    });
    this.negotiating = work.catch(() => {});
    return work;
  }

  async negotiate() {
    const { pc, timeline } = this;
    await pc.setLocalDescription();
    await this.gathered();
    if (this.over) throw new Explained("The connection is over.");
    const id = this.id ?? undefined;
    timeline.log("POST", `/api/echo${id ? ", a new offer" : ""}`);
    try {
      const answer = await exchange({ id, type: "offer", sdp: pc.localDescription.sdp });
      if (this.over) throw new Explained("The connection is over.");
      const candidates = (answer.sdp.match(/^a=candidate:/gm) ?? []).length;
      timeline.log("Answer", `with ${candidates} candidate${candidates === 1 ? "" : "s"}`);
      await pc.setRemoteDescription({ type: "answer", sdp: answer.sdp });
      this.id = answer.id ?? this.id;
      return answer.sdp;
    } catch (error) {
      if (pc.signalingState === "have-local-offer" && this.opened) await pc.setLocalDescription({ type: "rollback" });
      throw error;
    }
  }

  /** Tracks that are added later use the transport that is there: nothing is gathered then. */
  async gathered() {
    const { pc } = this;
    if (pc.iceGatheringState === "complete") return;
    let look;
    const complete = new Promise((done) => {
      look = () => pc.iceGatheringState === "complete" && done();
      pc.addEventListener("icegatheringstatechange", look);
    });
    await Promise.race([complete, sleep(GATHERING_LIMIT)]);
    pc.removeEventListener("icegatheringstatechange", look);
  }

  open() {
    if (this.opened) return;
    this.opened = true;
    this.timeline.step("channel", "done");
    this.tell("state", "connected");
    this.tell("open");
    this.poll();
  }

  async interrupted() {
    this.tell("state", "interrupted");
    if (!(await serverAnswers()) && !this.over && this.pc.connectionState === "disconnected") {
      const detail = "It answers neither on the connection nor on HTTP.";
      const hint =
        "If it comes back within half a minute, this goes on by itself; a server started anew needs a new connection.";
      this.tell("error", new Explained("The server has gone.", detail, hint));
    }
  }

  resumed() {
    this.tell("state", "connected");
    this.tell("error", null);
  }

  /** What a failed or stuck connection most likely means. */
  why() {
    if (this.opened)
      return new Explained(
        "The connection was lost.",
        "Nothing came back from the server any more.",
        "Check that it runs, then connect again.",
      );
    const { sctp, iceConnectionState } = this.pc;
    if (["connected", "completed"].includes(iceConnectionState)) {
      return new Explained(
        "The secure channel did not open.",
        `ICE found a way, but DTLS is “${sctp?.transport?.state ?? "unknown"}” and SCTP “${sctp?.state ?? "unknown"}”.`,
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

  /** The browser's statistics, once a second, for whoever shows them. */
  async poll() {
    while (!this.over) {
      const report = await this.pc.getStats().catch(() => null);
      if (this.over) return;
      if (report) this.tell("report", report);
      await sleep(POLL_INTERVAL);
    }
  }

  async fail(error) {
    if (this.over) return;
    this.timeline.log("Failed", error.title, "bad");
    this.timeline.fail();
    this.end("failed");
    this.tell("error", error);
    if (this.opened && !(await serverAnswers())) {
      const detail = "The connection ended, and it does not answer on HTTP either.";
      this.tell("error", new Explained("The server has gone.", detail, "Start it again, then connect."));
    }
  }

  end(state = "closed") {
    if (this.over) return;
    this.over = true;
    if (state === "closed") this.timeline.log("Closed", "from here");
    this.tell("end");
    this.pc.close();
    this.tell("state", state);
  }
}
