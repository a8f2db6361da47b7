// The video codecs of this browser, and a transceiver's preference for one.

/** Not codecs of their own: sending again and error correction. */
const HELPERS = new Set(["video/rtx", "video/red", "video/ulpfec", "video/flexfec-03"]);
const PREFERRED = ["VP8", "VP9", "H264", "AV1"];

const capabilities = () => globalThis.RTCRtpReceiver?.getCapabilities?.("video")?.codecs ?? [];
const nameOf = ({ mimeType }) => mimeType.split("/")[1].toUpperCase();
const isHelper = ({ mimeType }) => HELPERS.has(mimeType.toLowerCase());

/** Names, as "VP8": those that everybody knows first. */
export function videoCodecs() {
  const names = new Set(
    capabilities()
      .filter((codec) => !isHelper(codec))
      .map(nameOf),
  );
  return [...PREFERRED.filter((name) => names.delete(name)), ...names];
}

export const spoken = (name) => ({ H264: "H.264", H265: "H.265" })[name] ?? name;

/** Only this codec, so that the server takes it or refuses; "" leaves the choice to the browser. */
export function preferCodec(transceiver, name) {
  const wanted = name ? capabilities().filter((codec) => nameOf(codec) === name || isHelper(codec)) : [];
  transceiver.setCodecPreferences?.(wanted);
}
