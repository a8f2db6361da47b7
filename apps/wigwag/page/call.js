// A call with the echo: a picture and a sound go to the server and come back, shown side by side. Two of these are on the
// page, one for the camera and one for the screen; both use the page's one connection, which is renegotiated.
import { preferCodec, spoken, videoCodecs } from "./codecs.js";
import { $, Explained, milliseconds, showExplained } from "./dom.js";
import { artificial, pictureAgain } from "./media-source.js";
import { backOf, sentOf } from "./media-stats.js";

const SILENCE_LIMIT = 5000; // then it is said that nothing comes back

const KINDS = ["video", "audio"];
const STATUS = {
  idle: "",
  asking: "Asking for the picture …",
  negotiating: "Negotiating …",
  active: "On",
  ending: "Hanging up …",
};

export class Call {
  constructor(panel, { title, start, instead, open, isCamera }) {
    panel.append($("call-template").content.cloneNode(true));
    this.panel = panel;
    Object.assign(this, { isCamera, session: null, state: "idle" });
    this.part("title").textContent = title;
    this.part("start").textContent = start;
    this.part("instead").textContent = instead;
    for (const name of videoCodecs()) this.part("codec").append(new Option(spoken(name), name));
    const on = (name, act) => this.part(name).addEventListener("click", () => act.call(this));
    on("start", () => this.start(open));
    on("instead", () => this.start(async () => artificial()));
    on("hang-up", this.hangUp);
    on("mute", () => this.toggle("audio"));
    on("blank", () => this.toggle("video"));
    on("camera", this.switchCamera);
    on("sound", this.switchSound);
    this.part("codec").addEventListener("change", () => this.changeCodec());
    this.reset();
  }

  part(name) {
    return this.panel.querySelector(`[data-part="${name}"]`);
  }

  /** The connection that it can use, or null. */
  use(session) {
    if (!session) this.release();
    this.session = session;
    session?.addEventListener("report", () => this.show());
    this.become(this.state);
  }

  become(state) {
    this.state = state;
    this.panel.dataset.call = state;
    this.part("status").textContent = this.session ? STATUS[state] : "Connect first";
    const idle = state === "idle";
    this.part("idle-controls").hidden = !idle;
    this.part("active-controls").hidden = idle;
    for (const button of this.panel.querySelectorAll("button"))
      button.disabled = !this.session || !(idle || state === "active");
    this.part("mute").hidden = !this.source?.audio;
    this.part("camera").hidden = !this.isCamera;
    this.label();
  }

  note(text) {
    this.part("note").textContent = text;
    this.part("note").hidden = !text;
  }

  async start(open) {
    const { session } = this;
    if (this.state !== "idle" || !session) return;
    showExplained(this.part("error"), null);
    this.note("");
    try {
      if (!session.id)
        throw new Explained(
          "The server did not accept video.",
          "It gave this connection no id, so nothing can be added to it.",
        );
      this.become("asking");
      this.source = await open();
      if (this.session !== session) return this.release(); // it was closed meanwhile
      this.note(this.source.note);
      this.showLocal();
      this.become("negotiating");
      const answer = await session.renegotiate((pc) => this.addTransceivers(pc));
      if (this.session !== session) return;
      this.answered(answer, performance.now());
    } catch (error) {
      if (this.session === session) this.fail(Explained.from(error, "The call could not be made."));
    }
  }

  addTransceivers(pc) {
    const stream = new MediaStream();
    this.transceivers = {};
    for (const kind of KINDS.filter((kind) => this.source[kind]))
      this.transceivers[kind] = pc.addTransceiver(this.source[kind].track, {
        direction: "sendrecv",
        streams: [stream],
      });
    preferCodec(this.transceivers.video, this.part("codec").value);
  }

  /** What of it the server took. */
  answered(answer, at) {
    const refused = KINDS.filter((kind) => this.transceivers[kind] && isRefused(this.transceivers[kind], kind, answer));
    const codec = this.part("codec").value;
    const words = refused.map((kind) => (kind === "video" && codec ? `video in ${spoken(codec)}` : kind)).join(" or ");
    if (refused.includes("video") || refused.length === Object.keys(this.transceivers).length)
      throw new Explained(`The server did not accept ${words}.`, "It answered the offer, but refused this part of it.");
    for (const kind of refused) delete this.transceivers[kind];
    const oneWay = KINDS.filter(
      (kind) => this.transceivers[kind] && this.transceivers[kind].currentDirection !== "sendrecv",
    );
    const notes = [this.source.note];
    if (refused.length) notes.push(`The server did not accept ${words}.`);
    if (oneWay.length) notes.push(`The server takes ${oneWay.join(" and ")}, but sends nothing back.`);
    this.note(notes.filter(Boolean).join(" "));
    this.become("active");
    this.showBack(at);
    this.show();
  }

  showLocal() {
    const local = this.part("local");
    const { track } = this.source.video;
    track.addEventListener("ended", () => this.source?.video.track === track && this.hangUp()); // "Stop sharing", or unplugged
    local.srcObject = new MediaStream([track]);
    local.classList.toggle("mirrored", this.source.video.kind === "camera");
    play(local);
  }

  showBack(answeredAt) {
    const back = this.part("back");
    back.muted = true; // or it howls
    back.srcObject = new MediaStream(Object.values(this.transceivers).map(({ receiver }) => receiver.track));
    back.classList.toggle("mirrored", this.source.video.kind === "camera");
    play(back);
    this.firstFrame = null;
    const seen = () => {
      if (back.srcObject === null || this.firstFrame !== null) return;
      this.firstFrame = performance.now() - answeredAt;
      this.show();
    };
    if (back.requestVideoFrameCallback) back.requestVideoFrameCallback(seen);
    else back.addEventListener("loadeddata", seen, { once: true });
    const stream = back.srcObject;
    setTimeout(() => {
      if (back.srcObject === stream && this.firstFrame === null)
        this.note(`The server accepted video, but after ${SILENCE_LIMIT / 1000} s no picture has come back.`);
    }, SILENCE_LIMIT);
  }

  toggle(kind) {
    const { track } = this.source[kind];
    track.enabled = !track.enabled;
    this.label();
  }

  /** The device is let go, so that its light goes out; the transceiver stays. */
  async switchCamera() {
    const { source, transceivers } = this;
    try {
      if (this.cameraIsOff) {
        const picture = await pictureAgain(source.video.kind);
        if (this.source !== source) return picture.stop();
        source.video = picture;
        await transceivers.video.sender.replaceTrack(picture.track);
        this.showLocal();
      } else {
        await transceivers.video.sender.replaceTrack(null);
        source.video.stop();
        this.part("local").srcObject = null;
      }
      this.cameraIsOff = !this.cameraIsOff;
    } catch (error) {
      showExplained(this.part("error"), Explained.from(error, "The camera could not be switched."));
    }
    this.label();
  }

  switchSound() {
    const back = this.part("back");
    back.muted = !back.muted;
    play(back);
    this.label();
  }

  async changeCodec() {
    if (this.state !== "active") return;
    const { session } = this;
    try {
      this.become("negotiating");
      const answer = await session.renegotiate(() => preferCodec(this.transceivers.video, this.part("codec").value));
      if (this.session === session) this.answered(answer, performance.now());
    } catch (error) {
      if (this.session === session) this.fail(Explained.from(error, "The codec could not be changed."));
    }
  }

  async hangUp() {
    const { session, transceivers } = this;
    if (this.state !== "active") return;
    this.become("ending");
    this.release("ending");
    try {
      await session.renegotiate(() => stop(transceivers));
    } catch (error) {
      if (this.session === session)
        showExplained(this.part("error"), Explained.from(error, "The call could not be ended."));
    }
    this.become("idle");
  }

  fail(error) {
    const { session, transceivers } = this;
    this.release();
    showExplained(this.part("error"), error);
    // What was agreed before it failed is taken back; if this fails too, there is nothing more to say.
    if (stop(transceivers)) session?.renegotiate().catch(() => {});
  }

  /** Devices are let go, pictures taken away. */
  release(state = "idle") {
    this.source?.video?.stop();
    this.source?.audio?.stop();
    for (const name of ["local", "back"]) this.part(name).srcObject = null;
    this.reset(state);
  }

  reset(state = "idle") {
    Object.assign(this, { source: null, transceivers: {}, cameraIsOff: false, firstFrame: null });
    for (const name of ["sent", "returned", "first-frame", "rtt", "level"]) this.part(name).textContent = "–";
    this.note("");
    this.become(state);
  }

  label() {
    const press = (name, on, words) => {
      this.part(name).setAttribute("aria-pressed", on);
      this.part(name).textContent = words;
    };
    const { audio, video } = this.source ?? {};
    const sound = audio?.kind === "tone" ? "tone" : "microphone";
    const muted = audio?.track.enabled === false;
    const blank = video?.track.enabled === false;
    press("mute", muted, `${muted ? "Unmute" : "Mute"} ${sound}`);
    press("blank", blank, blank ? "Show picture" : "Blank picture");
    const what = video?.kind === "camera" ? "camera" : "picture";
    press("camera", this.cameraIsOff, `Switch ${what} ${this.cameraIsOff ? "on" : "off"}`);
    this.part("blank").disabled = this.state !== "active" || this.cameraIsOff;
    const { muted: silent } = this.part("back");
    press("sound", !silent, silent ? "Hear the echo" : "Silence the echo");
  }

  /** The numbers below the pictures. */
  async show() {
    if (this.state !== "active") return;
    const { video, audio } = this.transceivers;
    const [sent, returned, sound] = await Promise.all([
      sentOf(video),
      backOf(video),
      audio ? backOf(audio) : null,
    ]).catch(() => []);
    if (this.state !== "active" || !sent) return;
    this.part("sent").textContent = sent.text;
    this.part("returned").textContent = returned.text;
    this.part("rtt").textContent = Number.isFinite(sent.rtt) ? `${milliseconds(sent.rtt * 1000)} ms` : "–";
    this.part("first-frame").textContent =
      this.firstFrame === null ? "–" : `${milliseconds(this.firstFrame)} ms after the answer`;
    this.part("level").textContent = sound ? sound.level : "none is sent";
  }
}

const play = (video) => video.play().catch(() => {}); // it says "aborted" when its stream is taken away

/** Stops all of them; says whether there was anything that the server must hear of. */
function stop(transceivers) {
  const live = Object.values(transceivers).filter(({ currentDirection }) => currentDirection !== "stopped");
  const known = live.some(({ mid }) => mid !== null);
  for (const transceiver of live) transceiver.stop();
  return known;
}

/** Whether the answer has port 0 for it. By then its `mid` is gone; the order of refused sections is not. */
function isRefused(transceiver, kind, answer) {
  const { mid, currentDirection } = transceiver;
  if (mid === null || currentDirection === "stopped" || currentDirection === null) return true;
  const section = answer.split(/^(?=m=)/m).find((section) => section.split(/\r?\n/).includes(`a=mid:${mid}`));
  return section?.startsWith(`m=${kind} 0 `) ?? true;
}
