// A picture and a sound for who has no camera and no microphone, or would rather not show them.

const PICTURE = { width: 640, height: 360, rate: 30 };

/** A flag that is waved, with the time and a number on every frame. */
export function movingPicture() {
  const canvas = Object.assign(document.createElement("canvas"), { width: PICTURE.width, height: PICTURE.height });
  const context = canvas.getContext("2d");
  let frames = 0;
  const draw = () => drawFlag(context, performance.now() / 1000, ++frames);
  draw();
  const timer = setInterval(draw, 1000 / PICTURE.rate);
  const [track] = canvas.captureStream(PICTURE.rate).getVideoTracks();
  return {
    kind: "picture",
    track,
    stop() {
      clearInterval(timer);
      track.stop();
    },
  };
}

/** A quiet tone that rises and falls. */
export function tone() {
  const context = new AudioContext();
  const oscillator = new OscillatorNode(context, { type: "sine", frequency: 330 });
  const swell = new OscillatorNode(context, { type: "sine", frequency: 0.5 });
  const depth = new GainNode(context, { gain: 60 });
  const volume = new GainNode(context, { gain: 0.12 });
  const out = new MediaStreamAudioDestinationNode(context, { channelCount: 1 });
  swell.connect(depth).connect(oscillator.frequency);
  oscillator.connect(volume).connect(out);
  oscillator.start();
  swell.start();
  context.resume().catch(() => {}); // it was a click that brought us here
  const [track] = out.stream.getAudioTracks();
  return {
    kind: "tone",
    track,
    stop() {
      track.stop();
      context.close().catch(() => {});
    },
  };
}

function drawFlag(context, seconds, frame) {
  const { width, height } = PICTURE;
  const sky = context.createLinearGradient(0, 0, 0, height);
  sky.addColorStop(0, `hsl(${200 + 25 * Math.sin(seconds / 4)} 45% 62%)`);
  sky.addColorStop(1, "hsl(38 55% 86%)");
  context.fillStyle = sky;
  context.fillRect(0, 0, width, height);
  for (const [i, tint] of ["#8fa58f", "#6d8a72", "#4c6b57"].entries()) {
    context.fillStyle = tint;
    context.beginPath();
    context.moveTo(0, height);
    for (let x = 0; x <= width; x += 16)
      context.lineTo(x, height - 90 + i * 28 - 22 * Math.sin(x / (90 - 14 * i) + i * 2 + seconds * 0.05 * (i + 1)));
    context.lineTo(width, height);
    context.fill();
  }
  // The flag swings from side to side, as in the old art of signalling.
  context.save();
  context.translate(width / 2, height - 60);
  context.rotate(0.75 * Math.sin(seconds * 1.9));
  context.fillStyle = "#4a4339";
  context.fillRect(-3, -210, 6, 215);
  const wave = (y) => 7 * Math.sin(seconds * 7 + y / 26);
  context.fillStyle = "#c8402a";
  context.beginPath();
  context.moveTo(3, -208);
  for (let x = 0; x <= 150; x += 10) context.lineTo(3 + x, -208 + wave(x) * (x / 150));
  for (let x = 150; x >= 0; x -= 10) context.lineTo(3 + x, -104 + wave(x) * (x / 150));
  context.fill();
  context.fillStyle = "#fff";
  context.fillRect(56, -180 + wave(60) * 0.4, 44, 46);
  context.restore();
  context.fillStyle = "rgb(0 0 0 / .55)";
  context.font = "600 18px ui-monospace, monospace";
  context.fillText(`${new Date().toISOString().slice(11, 21)}  frame ${frame}`, 14, height - 14);
}
