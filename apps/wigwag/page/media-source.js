// Where pictures and sound come from: devices, the screen, or a canvas and a tone where there is neither.
//
// A source is `{ video, audio, note }`; each of the two is `{ kind, track, stop() }` or null.
import { movingPicture, tone } from "./artificial.js";
import { Explained } from "./dom.js";

const CAMERA = { width: { ideal: 1280 }, height: { ideal: 720 }, frameRate: { ideal: 30 } };
const MICROPHONE = { echoCancellation: true, noiseSuppression: true };
const NOT_SECURE =
  "Browsers give them only to pages that came over HTTPS or from this machine itself: start the server with “wigwag demo --https” and open the address that it prints.";
const INSTEAD = "A moving picture can stand in: the button is below.";

const isMissing = ({ name }) => ["NotFoundError", "DevicesNotFoundError", "OverconstrainedError"].includes(name);
const isRefused = ({ name }) => ["NotAllowedError", "PermissionDeniedError", "SecurityError"].includes(name);

export const artificial = () => ({ video: movingPicture(), audio: tone(), note: "" });

/** The camera and the microphone. What there is none of is made here, and `note` says so; a refusal throws, explained. */
export async function camera() {
  if (!navigator.mediaDevices?.getUserMedia)
    return { ...artificial(), note: `This page may use no camera and no microphone. ${NOT_SECURE}` };
  try {
    return fromStream(await navigator.mediaDevices.getUserMedia({ video: CAMERA, audio: MICROPHONE }), "camera");
  } catch (error) {
    if (!isMissing(error)) throw explained(error, "camera and the microphone");
  }
  // One of the two may be there.
  const video = await only({ video: CAMERA });
  const audio = await only({ audio: MICROPHONE });
  const missing = [!video && "camera", !audio && "microphone"].filter(Boolean);
  const made = [!video && "a moving picture", !audio && "a tone"].filter(Boolean).join(" and ");
  return {
    video: video ?? movingPicture(),
    audio: audio ?? tone(),
    note: `There is no ${missing.join(" and no ")}: ${made} stand${missing.length === 1 ? "s" : ""} in.`,
  };
}

async function only(constraints) {
  try {
    const source = fromStream(await navigator.mediaDevices.getUserMedia(constraints), "camera");
    return source.video ?? source.audio;
  } catch (error) {
    if (isMissing(error)) return null;
    throw explained(error, constraints.video ? "camera" : "microphone");
  }
}

/** The picture alone, of the same kind as before, after it was switched off. */
export async function pictureAgain(kind) {
  if (kind !== "camera") return movingPicture();
  const picture = await only({ video: CAMERA });
  if (!picture) throw new Explained("The camera is gone.", "", INSTEAD);
  return picture;
}

/** The screen, or the part of it that the person chooses. */
export async function screen() {
  const standIn = (note) => ({ video: movingPicture(), audio: null, note: `${note} A moving picture stands in.` });
  if (!navigator.mediaDevices?.getDisplayMedia) {
    if (globalThis.isSecureContext) return standIn("This browser can't share a screen (those of phones can't).");
    return standIn(`This page may not use the screen. ${NOT_SECURE}`);
  }
  try {
    const stream = await navigator.mediaDevices.getDisplayMedia({ video: { frameRate: { ideal: 30 } } });
    const source = fromStream(stream, "screen");
    source.video.track.contentHint = "detail"; // letters stay sharp, at the price of frames
    return source;
  } catch (error) {
    if (isMissing(error)) return standIn("There is no screen to share.");
    throw explained(error, "screen");
  }
}

function fromStream(stream, kind) {
  const part = (track, kind) => (track ? { kind, track, stop: () => track.stop() } : null);
  const [video] = stream.getVideoTracks();
  const [audio] = stream.getAudioTracks();
  return { video: part(video, kind), audio: part(audio, "microphone"), note: "" };
}

function explained(error, what) {
  const said = `The browser says: ${error.message || error.name}.`;
  if (isRefused(error)) {
    const hint =
      what === "screen" ? "" : "It can be allowed in the browser's settings for this page, beside its address. ";
    return new Explained(`The permission to use the ${what} was refused.`, said, hint + INSTEAD);
  }
  if (error.name === "NotReadableError" || error.name === "AbortError")
    return new Explained(`The ${what} can't be read.`, said, `Another program may be using it. ${INSTEAD}`);
  return new Explained(`The ${what} can't be used.`, `The browser says: ${error.name}: ${error.message}`, INSTEAD);
}
