// What runs inside the browser. `install` is handed over as source text, so it uses nothing from outside itself.

export function install() {
  const within = (ms, what, promise) => {
    let timer;
    const late = new Promise((_, fail) => (timer = setTimeout(() => fail(Error(`${what}: not within ${ms} ms`)), ms)));
    return Promise.race([promise, late]).finally(() => clearTimeout(timer));
  };
  const happens = (target, event) => new Promise((done) => target.addEventListener(event, done, { once: true }));

  async function post(path, body) {
    const response = await fetch(path, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify(body),
    });
    if (!response.ok) throw Error(`${path}: HTTP ${response.status} ${await response.text()}`);
    return response.json();
  }

  function gathered(pc) {
    if (pc.iceGatheringState === 'complete') return Promise.resolve();
    return within(
      5000,
      'gathering',
      new Promise((done) => {
        pc.addEventListener('icegatheringstatechange', () => pc.iceGatheringState === 'complete' && done());
      }),
    );
  }

  async function opened(channel) {
    channel.binaryType = 'arraybuffer';
    if (channel.readyState !== 'open') await within(10000, `channel ${channel.label} opens`, happens(channel, 'open'));
    return channel;
  }

  /** The browser offers. `configure` makes the first channels; `ms` is from setRemoteDescription to the first open. */
  async function offerer(configure = (pc) => [pc.createDataChannel('echo')]) {
    const pc = new RTCPeerConnection({ iceServers: [] });
    const channels = configure(pc);
    await pc.setLocalDescription();
    await gathered(pc);
    const answer = await post('/api/echo', { type: 'offer', sdp: pc.localDescription.sdp });
    const open = opened(channels[0]);
    const began = performance.now();
    await pc.setRemoteDescription(answer);
    await open;
    const ms = performance.now() - began;
    await Promise.all(channels.map(opened));
    return { pc, channels, ms };
  }

  /** The server offers, with a channel of its own. `ms` is from the answer's arrival there to the channel's opening here. */
  async function answerer() {
    const offer = await post('/api/offer', {});
    const pc = new RTCPeerConnection({ iceServers: [] });
    const announced = happens(pc, 'datachannel');
    await pc.setRemoteDescription({ type: offer.type, sdp: offer.sdp });
    await pc.setLocalDescription();
    await gathered(pc);
    const began = performance.now();
    await post('/api/answer', { id: offer.id, type: 'answer', sdp: pc.localDescription.sdp });
    const { channel } = await within(10000, 'the announced channel', announced);
    await opened(channel);
    return { pc, channels: [channel], ms: performance.now() - began };
  }

  /** Bytes that differ from message to message, so that a mix-up of two of the same size is seen. */
  function bytes(length, seed) {
    const out = new Uint8Array(length);
    let state = (seed + 1) * 2654435761;
    for (let i = 0; i < length; i++) {
      state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
      out[i] = state >>> 24;
    }
    return out;
  }

  /** Text of exactly `length` bytes in UTF-8, with characters of one, two, three and four bytes. */
  function text(length, seed) {
    const head = length >= 16 ? `${seed}é→𝄞` : '';
    const room = length - new TextEncoder().encode(head).length;
    return head + Array.from({ length: room }, (_, i) => String.fromCharCode(97 + ((i * 7 + seed) % 26))).join('');
  }

  function same(sent, got) {
    if (typeof sent === 'string') return sent === got;
    if (!(got instanceof ArrayBuffer) || got.byteLength !== sent.byteLength) return false;
    const view = new Uint8Array(got);
    return sent.every((byte, i) => byte === view[i]);
  }
  const shape = (message) =>
    typeof message === 'string' ? `text of ${message.length}` : `binary of ${message?.byteLength}`;
  const isReliable = (channel) => channel.maxRetransmits === null && channel.maxPacketLifeTime === null;

  /**
   * Sends all messages and gathers what comes back; gives its number. On an ordered channel, everything must come in the
   * order in which it was sent, on any channel nothing twice or changed. Only an unreliable channel may lose messages:
   * there, a second of silence ends the wait.
   */
  async function echoes(channel, messages, limit = 20000) {
    const reliable = isReliable(channel);
    const back = [];
    let ended;
    const end = new Promise((done, fail) => {
      const closed = () => fail(Error(`channel ${channel.label} closed after ${back.length} of ${messages.length}`));
      let quiet;
      const rearm = () => {
        clearTimeout(quiet);
        quiet = setTimeout(done, reliable ? limit : 1000);
      };
      channel.onmessage = ({ data }) => {
        if (back.push(data) >= messages.length) done();
        else if (!reliable) rearm();
      };
      channel.addEventListener('close', closed);
      ended = () => {
        clearTimeout(quiet);
        channel.removeEventListener('close', closed);
        channel.onmessage = null;
      };
      rearm();
    });
    try {
      for (const message of messages) channel.send(message);
      await end;
      await new Promise((done) => setTimeout(done, 20)); // one too many would come now
    } finally {
      ended();
    }
    if (reliable ? back.length !== messages.length : back.length > messages.length) {
      throw Error(`channel ${channel.label}: ${back.length} of ${messages.length} came back`);
    }
    let left = messages;
    for (const [i, got] of back.entries()) {
      const at = left.findIndex((sent) => same(sent, got));
      if (at < 0 || (reliable && channel.ordered && at > 0))
        throw Error(`channel ${channel.label}: message ${i} came back as ${shape(got)}, expected ${shape(left[0])}`);
      left = channel.ordered ? left.slice(at + 1) : left.toSpliced(at, 1);
    }
    return back.length;
  }

  /** Sends `chunks` as fast as the channel takes them, up to `inFlight` of them not yet echoed; gives MB/s there and back. */
  async function flood(channel, chunks, inFlight = 128, size = 65536) {
    const chunk = new Uint8Array(size);
    const number = new DataView(chunk.buffer);
    let sent = 0;
    let back = 0;
    channel.bufferedAmountLowThreshold = 4 * size;
    const began = performance.now();
    const done = new Promise((done, fail) => {
      const pump = () => {
        for (; sent < chunks && sent - back < inFlight && channel.bufferedAmount < 16 * size; sent++) {
          number.setUint32(0, sent);
          channel.send(chunk);
        }
      };
      channel.onbufferedamountlow = pump;
      channel.onmessage = ({ data }) => {
        if (data.byteLength !== size || new DataView(data).getUint32(0) !== back) {
          fail(Error(`chunk ${back} came back as another`));
        }
        if (++back === chunks) done();
        else pump();
      };
      pump();
    });
    await within(45000, 'the echo of all', done).catch((error) => {
      throw Error(`${error.message}; ${sent} sent, ${back} of ${chunks} came back`);
    });
    channel.onmessage = channel.onbufferedamountlow = null;
    return (chunks * size) / 1000 / (performance.now() - began);
  }

  window.harness = { within, happens, opened, offerer, answerer, bytes, text, echoes, flood };
}

/** Makes `window.harness` in the page. */
export const prepare = (page) => page.evaluate(install);
