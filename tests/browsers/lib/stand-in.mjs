#!/usr/bin/env node
// Chromium in the place of the wigwag command: the same HTTP interface, behind it RTCPeerConnections that echo. What the
// tests of media ask for can be had from a browser, so a test that passes against this one and fails against wigwag has
// found something:
//
//   WIGWAG=lib/stand-in.mjs node --test media.test.mjs
//
// It decodes and encodes again what it echoes, so it makes the key frames that are asked of it; but it asks, too.
import { createServer } from 'node:http';
import { parseArgs } from 'node:util';
import { launch } from './browser.mjs';

/** Runs in the page. */
function install() {
  const connections = new Map();
  const REFUSED = 'refused';

  function create() {
    const pc = new RTCPeerConnection({ iceServers: [] });
    const id = crypto.randomUUID?.() ?? String(Math.random());
    connections.set(id, pc);
    pc.ondatachannel = ({ channel }) => echo(pc, channel);
    pc.onconnectionstatechange = () => /failed|disconnected/.test(pc.connectionState) && end(pc);
    return { id, pc };
  }
  function echo(pc, channel) {
    channel.binaryType = 'arraybuffer';
    channel.onmessage = ({ data }) => channel.send(data);
    channel.onclose = () => channel.label === 'echo' && end(pc);
  }
  /** What is over must not go on encoding. */
  function end(pc) {
    for (const { receiver } of pc.getTransceivers()) {
      receiver.track.pulled?.pause();
      clearInterval(receiver.asking);
      receiver.asker?.terminate();
    }
    pc.close();
    for (const [id, other] of connections) if (other === pc) connections.delete(id);
  }
  function mirror(pc) {
    for (const transceiver of pc.getTransceivers()) {
      const { track } = transceiver.receiver;
      transceiver.sender.replaceTrack(track);
      if (transceiver.direction !== 'stopped') transceiver.direction = 'sendrecv';
      askOn(transceiver);
      if (track.kind === 'audio' && !track.pulled) {
        track.pulled = new Audio(); // nothing is decoded that nobody hears
        Object.assign(track.pulled, { muted: true, srcObject: new MediaStream([track]) });
        track.pulled.play().catch(() => {});
      }
    }
  }
  /** Asks the sender for a key frame whenever we are asked for one. */
  function askOn({ receiver, sender }) {
    if (receiver.track.kind !== 'video' || receiver.transform) return;
    const source = `onrtctransform = ({ transformer }) => {
      transformer.readable.pipeTo(transformer.writable);
      onmessage = () => transformer.sendKeyFrameRequest().catch(() => {});
    };`;
    const worker = new Worker(URL.createObjectURL(new Blob([source])));
    receiver.transform = new RTCRtpScriptTransform(worker);
    receiver.asker = worker;
    let asked = 0;
    receiver.asking = setInterval(async () => {
      const outbound = [...(await sender.getStats()).values()].find(({ type }) => type === 'outbound-rtp');
      if (!(outbound?.pliCount > asked)) return;
      asked = outbound.pliCount;
      worker.postMessage('now');
    }, 50);
  }
  async function described(pc) {
    await pc.setLocalDescription();
    const complete = () => pc.iceGatheringState === 'complete' && /^a=candidate/m.test(pc.localDescription.sdp);
    while (!complete()) await new Promise((done) => setTimeout(done, 5));
    return { type: pc.localDescription.type, sdp: pc.localDescription.sdp };
  }
  /** After setCodecPreferences, Firefox still writes rtcp-fb of the codecs it left out, which Chromium refuses. */
  const withoutStrays = (sdp) =>
    sdp.replace(/^m=.*\r\n(?:(?!m=).*\r\n)*/gm, (section) => {
      const types = section.match(/^m=.*/)[0].trim().split(' ').slice(3);
      return section.replace(/^a=rtcp-fb:(\d+) .*\r\n/gm, (line, type) => (types.includes(type) ? line : ''));
    });
  const apply = (pc, { type, sdp }) =>
    pc
      .setRemoteDescription({ type, sdp: withoutStrays(String(sdp)) })
      .catch((error) => Promise.reject({ [REFUSED]: error.message }));

  const api = {
    async '/api/echo'(body) {
      if (body.type !== 'offer') throw { [REFUSED]: 'not an offer' };
      if (body.id && !connections.has(body.id)) throw { [REFUSED]: 'no such connection' };
      const { id, pc } = body.id ? { id: body.id, pc: connections.get(body.id) } : create();
      await apply(pc, body);
      mirror(pc);
      return { id, ...(await described(pc)) };
    },
    async '/api/offer'({ media = [] }) {
      const { id, pc } = create();
      echo(pc, pc.createDataChannel('echo'));
      for (const kind of media) pc.addTransceiver(kind, { direction: 'sendrecv' });
      mirror(pc);
      return { id, ...(await described(pc)) };
    },
    async '/api/answer'({ id, ...answer }) {
      await apply(connections.get(id), answer);
      return {};
    },
    async '/api/stats/'(id) {
      const pc = connections.get(id);
      if (!pc) throw { [REFUSED]: 'no such connection', status: 404 };
      const media = [];
      for (const transceiver of pc.getTransceivers()) {
        if (transceiver.stopped) continue;
        const { codecs } = transceiver.receiver.getParameters();
        const of = async (end, type) => [...(await end.getStats()).values()].find((entry) => entry.type === type);
        const inbound = await of(transceiver.receiver, 'inbound-rtp');
        const outbound = await of(transceiver.sender, 'outbound-rtp');
        media.push({
          mid: transceiver.mid,
          kind: transceiver.receiver.track.kind,
          codec: codecs[0]?.mimeType.split('/')[1],
          direction: transceiver.currentDirection,
          inbound: { packets: inbound?.packetsReceived, plis_sent: inbound?.pliCount },
          outbound: {
            packets: outbound?.packetsSent,
            retransmitted: outbound?.retransmittedPacketsSent,
            plis_received: outbound?.pliCount,
          },
        });
      }
      return { id, state: pc.connectionState, srtp_dropped: 0, media };
    },
  };
  window.answer = async (path, body) => {
    try {
      return { status: 200, body: await api[path](body) };
    } catch (error) {
      return { status: error.status ?? (error[REFUSED] ? 400 : 500), body: { error: error[REFUSED] ?? String(error) } };
    }
  };
}

const { values } = parseArgs({
  allowPositionals: true,
  options: { listen: { type: 'string', default: '127.0.0.1:8080' }, 'ice-address': { type: 'string', multiple: true } },
});
const [host, port] = values.listen.split(':');
const { browser, close } = await launch('chromium');
const page = await browser.newPage();

const server = createServer(async (request, response) => {
  const send = (status, type, body) => response.writeHead(status, { 'content-type': type }).end(body);
  let text = '';
  for await (const piece of request) text += piece;
  const [, path, id] = request.url.match(/^(\/api\/stats\/)(.*)/) ?? [null, request.url];
  if (request.url === '/') return send(200, 'text/html', '<!doctype html><title>stand-in</title>');
  if (!path.startsWith('/api/')) return send(404, 'text/plain', 'not found');
  let reply;
  try {
    reply = await page.evaluate((path, body) => window.answer(path, body), path, id ?? JSON.parse(text));
  } catch (error) {
    reply = { status: error instanceof SyntaxError ? 400 : 500, body: { error: String(error) } };
  }
  send(reply.status, 'application/json', JSON.stringify(reply.body));
});
server.listen(Number(port), host, async () => {
  await page.goto(`http://${host}:${server.address().port}/`);
  await page.evaluate(install);
  console.log(`stand-in: http://${host}:${server.address().port}/ `);
});
process.once('SIGTERM', async () => {
  await close();
  process.exit(0);
});
