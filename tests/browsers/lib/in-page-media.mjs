// Media inside the browser: pictures and tones, connections that send them to the echo, and what is seen and heard of
// what comes back. `install` is handed over as source text, after the one of in-page.mjs, and uses nothing but that.

function install() {
  const { within, happens, opened } = window.harness;
  const BEFORE_GIVING_UP = 10_000; // milliseconds; a loaded machine is slow, a broken connection is slower
  const COLOURS = { red: [190, 40, 40], green: [40, 150, 40], blue: [40, 60, 190] };
  const IN_HERTZ = 440;
  const sleep = (ms) => new Promise((done) => setTimeout(done, ms));

  async function post(path, body) {
    const response = await fetch(path, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify(body),
    });
    const reply = await response.json();
    if (!response.ok) throw Error(`${path}: HTTP ${response.status} ${reply.error}`);
    return reply;
  }

  /** Asks `probe` every few milliseconds until it gives something true, and gives that. */
  async function until(what, probe, limit = BEFORE_GIVING_UP) {
    const end = performance.now() + limit;
    for (;;) {
      const found = await probe();
      if (found) return found;
      if (performance.now() > end) throw Error(`${what}: not within ${limit} ms`);
      await sleep(10);
    }
  }

  // --- what is sent

  /**
   * A picture that never stands still: the upper half has one colour, by which the receiver knows it again; below, a bar
   * wanders over stripes. Drawn by a timer: painting may be throttled where nobody looks.
   */
  function picture({ colour = 'red', width = 640, height = 360, rate = 30 } = {}) {
    const canvas = document.createElement('canvas');
    Object.assign(canvas, { width, height });
    const context = canvas.getContext('2d');
    let frame = 0;
    const draw = () => {
      context.fillStyle = `rgb(${COLOURS[colour]})`;
      context.fillRect(0, 0, width, height / 2);
      for (let x = 0; x < 16; x++) {
        context.fillStyle = `hsl(${(x * 22 + frame) % 360} 60% 50%)`;
        context.fillRect((x * width) / 16, height / 2, width / 16, height / 2);
      }
      context.fillStyle = 'white';
      context.fillRect(((frame * 7) % width) - 20, height / 2, 40, height / 2);
      frame++;
    };
    draw();
    const timer = setInterval(draw, 1000 / rate);
    const [track] = canvas.captureStream(rate).getVideoTracks();
    const stop = track.stop.bind(track);
    track.stop = () => {
      clearInterval(timer);
      stop();
    };
    return track;
  }

  /** A tone. Without a sound card Firefox's AudioContext never starts, but its fake microphone hums. */
  async function tone() {
    if (navigator.userAgent.includes('Firefox')) {
      return (await navigator.mediaDevices.getUserMedia({ audio: true })).getAudioTracks()[0];
    }
    const context = new AudioContext();
    const oscillator = context.createOscillator();
    const out = context.createMediaStreamDestination();
    oscillator.frequency.value = IN_HERTZ;
    oscillator.connect(out);
    oscillator.start();
    return out.stream.getAudioTracks()[0];
  }

  const source = (kind, shape) => (kind === 'audio' ? tone() : picture(shape));

  /** Leaves the transceiver nothing but `codec` and its retransmissions. */
  function prefer(transceiver, codec) {
    if (!codec) return;
    const kind = transceiver.receiver.track.kind;
    const all = RTCRtpReceiver.getCapabilities(kind).codecs;
    const named = (name) => all.filter(({ mimeType }) => mimeType.toLowerCase() === `${kind}/${name}`.toLowerCase());
    if (!named(codec).length) throw Error(`this browser has no ${codec}`);
    transceiver.setCodecPreferences([...named(codec), ...named('rtx')]);
  }

  /**
   * As the one who answers, Chromium sends the first codec of the offer, even one that its own answer does not have: a
   * preference is only about what it receives. So the sender is told as well.
   */
  async function send({ sender }, codec) {
    const parameters = sender.getParameters();
    const wanted = parameters.codecs.find(({ mimeType }) => mimeType.toLowerCase() === `video/${codec}`.toLowerCase());
    if (!wanted || !parameters.encodings?.length) return;
    parameters.encodings[0].codec = wanted;
    await sender.setParameters(parameters);
  }

  // --- what comes back

  const views = new Map(); // of receivers' tracks

  /** Shows a received track, and writes down when each frame of it was there. */
  function watch(track) {
    if (views.has(track)) return views.get(track);
    const element = document.createElement(track.kind);
    const muted = track.kind === 'video'; // of a sound that is muted, Chromium measures no energy
    Object.assign(element, { muted, autoplay: true, playsInline: true, srcObject: new MediaStream([track]) });
    Object.assign(element.style, { position: 'fixed', left: 0, top: `${views.size * 40}px`, width: '64px', zIndex: 9 });
    document.body.append(element);
    element.play().catch(() => {});
    const view = { element, frames: [], width: 0, height: 0 };
    views.set(track, view);
    const frame = (_, { width, height }) => {
      view.frames.push(performance.now());
      Object.assign(view, { width, height });
      element.requestVideoFrameCallback(frame);
    };
    if (track.kind === 'video') element.requestVideoFrameCallback(frame);
    return view;
  }

  /** Which of the colours the upper half of what is shown has; null if it is none of them. */
  function colour(view) {
    const canvas = document.createElement('canvas');
    Object.assign(canvas, { width: 16, height: 16 });
    const context = canvas.getContext('2d');
    context.drawImage(view.element, 0, 0, 16, 16);
    const { data } = context.getImageData(4, 2, 8, 4);
    const mean = [0, 1, 2].map((c) => data.filter((_, i) => i % 4 === c).reduce((sum, x) => sum + x, 0) / 32);
    const near = ([, wanted]) => wanted.every((x, c) => Math.abs(x - mean[c]) < 45);
    return Object.entries(COLOURS).find(near)?.[0] ?? null;
  }

  /** The longest time without a new frame since `from`, until now. */
  function longestGap(view, from) {
    const times = [from, ...view.frames.filter((time) => time > from), performance.now()];
    return Math.max(...times.slice(1).map((time, i) => time - times[i]));
  }

  /** The statistics of one transceiver: `inbound` (what came back) and `outbound`, each with `codec`; null where none is. */
  async function statistics({ receiver, sender }) {
    const one = (report, type) => {
      const found = [...report.values()].find((entry) => entry.type === type);
      return found ? { ...found, codec: report.get(found.codecId)?.mimeType.split('/')[1] } : null;
    };
    const [back, forth] = await Promise.all([receiver.getStats(), sender.getStats()]);
    return { inbound: one(back, 'inbound-rtp'), outbound: one(forth, 'outbound-rtp') };
  }

  /** Of `inbound`: how much was decoded, in frames or in samples. */
  const decoded = (transceiver, { inbound }) =>
    (transceiver.receiver.track.kind === 'video' ? inbound?.framesDecoded : inbound?.totalSamplesReceived) ?? 0;

  /** Waits until ten more frames, or a quarter of a second more of sound, came back; gives the milliseconds it took. */
  async function flows(transceiver, what = 'media comes back') {
    const enough = transceiver.receiver.track.kind === 'video' ? 10 : 12_000;
    const began = performance.now();
    const before = await statistics(transceiver);
    await until(`${what} on ${transceiver.mid}`, async () => {
      const now = await statistics(transceiver);
      const heard =
        transceiver.receiver.track.kind === 'video' ||
        now.inbound?.totalAudioEnergy > (before.inbound?.totalAudioEnergy ?? 0);
      return heard && decoded(transceiver, now) >= decoded(transceiver, before) + enough;
    });
    return performance.now() - began;
  }

  /** Waits until nothing more comes back: two equal counts of decoded frames, or packets of sound, half a second apart. */
  async function ceases(transceiver) {
    const count = async () => {
      const { inbound } = await statistics(transceiver);
      return inbound?.packetsReceived ?? 0;
    };
    let last = -1;
    return until(`${transceiver.mid} falls silent`, async () => {
      const now = await count();
      if (now === last) return true;
      last = now;
      await sleep(500);
      return false;
    });
  }

  /** Samples of one transceiver's counters, `step` milliseconds apart. */
  async function samples(transceiver, steps = 6, step = 500) {
    const all = [];
    for (let i = 0; i <= steps; i++) {
      const now = await statistics(transceiver);
      all.push({ decoded: decoded(transceiver, now), encoded: now.outbound?.framesEncoded ?? 0 });
      if (i < steps) await sleep(step);
    }
    return all;
  }

  // --- connections

  /** The codec that a description puts first, for each mid; '' where the m-line is refused. */
  function codecs(sdp) {
    const found = {};
    for (const section of sdp.split(/^(?=m=)/m).slice(1)) {
      const [, kind, port, first] = section.match(/^m=(\S+) (\d+) \S+ (\S+)/);
      const name = section.match(new RegExp(`^a=rtpmap:${first} ([^/]+)/`, 'm'))?.[1];
      if (kind !== 'application') found[section.match(/^a=mid:(\S+)/m)?.[1]] = port === '0' ? '' : name;
    }
    return found;
  }

  /** Waits until the local description has its candidates: right after a restart, `iceGatheringState` is still the old one. */
  const gathered = (pc) =>
    until('gathering', () => pc.iceGatheringState === 'complete' && /^a=candidate/m.test(pc.localDescription.sdp));

  function create(role) {
    const pc = new RTCPeerConnection({ iceServers: [] });
    const connection = { pc, role, id: undefined, connected: undefined };
    connection.isConnected = new Promise((done, fail) => {
      pc.addEventListener('connectionstatechange', () => {
        if (pc.connectionState === 'connected') done((connection.connected ??= performance.now()));
        if (pc.connectionState === 'failed') fail(Error('connectionState: failed'));
      });
    });
    connection.isConnected.catch(() => {});
    return connection;
  }

  /** A new sendrecv transceiver, its sender fed; it needs `negotiate`. */
  async function add({ pc }, kind, { codec, ...shape } = {}) {
    const transceiver = pc.addTransceiver(await source(kind, shape), { direction: 'sendrecv' });
    prefer(transceiver, codec);
    watch(transceiver.receiver.track);
    return transceiver;
  }

  /** An offer of ours and its answer, whoever offered first. Gives the answer. */
  async function negotiate(connection) {
    const { pc } = connection;
    await pc.setLocalDescription();
    await gathered(pc);
    const answer = await post('/api/echo', { id: connection.id, type: 'offer', sdp: pc.localDescription.sdp });
    connection.id = answer.id;
    await pc.setRemoteDescription({ type: answer.type, sdp: answer.sdp });
    return answer.sdp;
  }

  /**
   * A connection with one data channel and, for each of `kinds`, a transceiver: `audio` and `video` in the result. `codec`
   * is of the video. It is connected and the channel is open; media need not have come back.
   */
  async function connect({ role = 'offerer', kinds = ['audio', 'video'], codec, ...shape } = {}) {
    const connection = create(role);
    const { pc } = connection;
    if (role === 'offerer') {
      connection.channel = pc.createDataChannel('echo');
      for (const kind of kinds)
        connection[kind] = await add(connection, kind, { codec: kind === 'video' && codec, ...shape });
      connection.codecs = codecs(await negotiate(connection));
    } else {
      const announced = happens(pc, 'datachannel');
      const offer = await post('/api/offer', { media: kinds });
      connection.id = offer.id;
      await pc.setRemoteDescription({ type: offer.type, sdp: offer.sdp });
      for (const transceiver of pc.getTransceivers()) {
        const { track } = transceiver.receiver;
        connection[track.kind] = transceiver;
        transceiver.direction = 'sendrecv';
        if (track.kind === 'video') prefer(transceiver, codec);
        watch(track);
        await transceiver.sender.replaceTrack(await source(track.kind, shape));
      }
      await pc.setLocalDescription();
      if (connection.video && codec) await send(connection.video, codec);
      await gathered(pc);
      connection.codecs = codecs(pc.localDescription.sdp);
      await post('/api/answer', { id: offer.id, type: 'answer', sdp: pc.localDescription.sdp });
      connection.channel = (await within(BEFORE_GIVING_UP, 'the announced channel', announced)).channel;
    }
    for (const kind of kinds) if (!connection[kind]) throw Error(`the server offered no ${kind}`);
    await within(BEFORE_GIVING_UP, 'connectionState connected', connection.isConnected);
    await opened(connection.channel);
    return connection;
  }

  /** Milliseconds from `connected` to the first frame that came back. */
  async function firstFrame(connection) {
    const { frames } = watch(connection.video.receiver.track);
    await until('the first frame that comes back', () => frames.length);
    return frames[0] - connection.connected;
  }

  /** Messages on the channel all the time; `end` gives how many went and came back, and fails if one is missing or wrong. */
  function chatter(channel) {
    let sent = 0;
    let back = 0;
    let wrong = 0;
    channel.onmessage = ({ data }) => (wrong += data !== `message ${back++}`);
    const timer = setInterval(() => channel.send(`message ${sent++}`), 20);
    const end = async () => {
      clearInterval(timer);
      await until('the last echo', () => back >= sent).catch(() => {
        throw Error(`the data channel sent ${sent} messages, ${back} came back`);
      });
      channel.onmessage = null;
      if (wrong) throw Error(`${wrong} of ${sent} messages came back in the wrong place`);
      return sent;
    };
    return { end };
  }

  /** Ends a connection and everything that feeds or shows it. */
  function close({ pc }) {
    for (const { sender, receiver } of pc.getTransceivers()) {
      sender.track?.stop();
      views.get(receiver.track)?.element.remove();
      views.delete(receiver.track);
    }
    pc.close();
  }

  window.media = {
    ...{ post, sleep, until, picture, tone, prefer, watch, colour, longestGap, statistics, flows, ceases, samples },
    ...{ codecs, add, negotiate, connect, firstFrame, chatter, close },
  };
}

/** Makes `window.media` in a page that has `window.harness`. */
export const prepareMedia = (page) => page.evaluate(install);
