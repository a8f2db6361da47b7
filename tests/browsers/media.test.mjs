// Sound and pictures that `wigwag demo` echoes, from inside real browsers: every codec in both roles, and the server's own
// statistics beside the browser's.
import assert from 'node:assert/strict';
import { createServer } from 'node:http';
import { test } from 'node:test';
import { inBrowsers, median, rounded } from './lib/suite.mjs';

const CODECS = { chromium: ['VP8', 'VP9', 'H264', 'AV1'], firefox: ['VP8', 'VP9', 'AV1'] };
const REPETITIONS = 10;
const FIRST_FRAME_LIMIT = 500; // milliseconds from `connected` to the first decoded frame that came back, on loopback
const SIZE = '640x360';
const ROLES = ['offerer', 'answerer'];
const LIMIT = { timeout: 180_000 };

/** Runs in the page: one connection, from nothing to sound and pictures that come back. */
async function once({ role, codec }) {
  const connection = await media.connect({ role, codec });
  const first = await media.firstFrame(connection);
  await Promise.all([media.flows(connection.video), media.flows(connection.audio)]);
  const [video, audio] = await Promise.all([media.statistics(connection.video), media.statistics(connection.audio)]);
  const found = {
    first,
    described: connection.codecs,
    mids: [connection.audio.mid, connection.video.mid],
    directions: [connection.audio.currentDirection, connection.video.currentDirection],
    codecs: [audio.outbound.codec, audio.inbound.codec, video.outbound.codec, video.inbound.codec],
    colour: media.colour(media.watch(connection.video.receiver.track)),
  };
  media.close(connection);
  return found;
}

/** Runs in the page: a connection that lasts. Bandwidth estimates begin low, so the full size may take some seconds. */
async function lasting({ role, codec, size }) {
  const connection = await media.connect({ role, codec });
  const view = media.watch(connection.video.receiver.track);
  let sized = true;
  const seen = () => `${view.width}x${view.height}`;
  await media.until('the full size', () => seen() === size, 20_000).catch(() => (sized = false));
  const [video, audio] = await Promise.all([media.samples(connection.video), media.samples(connection.audio)]);
  const { inbound, outbound } = await media.statistics(connection.video);
  const energy = (await media.statistics(connection.audio)).inbound.totalAudioEnergy;
  media.close(connection);
  const limited = outbound.qualityLimitationReason ?? 'unknown';
  return {
    sized,
    seen: seen(),
    sent: `${outbound.frameWidth}x${outbound.frameHeight}`,
    limited,
    lost: inbound.packetsLost,
    video,
    audio,
    energy,
  };
}

inBrowsers('media', (media) => {
  for (const role of ROLES) {
    for (const codec of CODECS[media.name]) {
      test(`${codec} and Opus as ${role}: pictures and sound come back, ten of ten`, LIMIT, async (t) => {
        const times = [];
        const failures = [];
        await media.pages(async (page) => {
          for (let i = 0; i < REPETITIONS; i++) {
            try {
              const found = await page.evaluate(once, { role, codec });
              times.push(Math.max(0, found.first));
              assert.deepEqual(found.directions, ['sendrecv', 'sendrecv']);
              assert.deepEqual(
                found.mids.map((mid) => found.described[mid].toLowerCase()),
                ['opus', codec.toLowerCase()],
              );
              assert.deepEqual(
                found.codecs.map((name) => name.toLowerCase()),
                ['opus', 'opus', codec.toLowerCase(), codec.toLowerCase()],
              );
              assert.equal(found.colour, 'red');
            } catch (error) {
              failures.push(`connection ${i}: ${error.message}`);
            }
          }
        });
        t.diagnostic(`${REPETITIONS - failures.length} of ${REPETITIONS}`);
        if (times.length)
          t.diagnostic(
            `first frame after ${rounded(times)} ms: median ${median(times).toFixed(0)}, worst ${Math.max(...times).toFixed(0)}`,
          );
        assert.deepEqual(failures, []);
        for (const ms of times) assert.ok(ms < FIRST_FRAME_LIMIT, `the first frame took ${ms} ms`);
      });

      test(`${codec} and Opus as ${role}: steady, in the size that was sent`, LIMIT, async (t) => {
        const found = await media.inside(lasting, { role, codec, size: SIZE });
        const { video, audio } = found;
        const grown = (samples, what) => samples.at(-1)[what] - samples[0][what];
        const [back, sent, sound] = [grown(video, 'decoded'), grown(video, 'encoded'), grown(audio, 'decoded')];
        t.diagnostic(`${back} frames came back of ${sent} sent, ${sound} samples of sound, in 3 s`);
        t.diagnostic(
          `shown ${found.seen}, sent ${found.sent}, limited by ${found.limited}, ${found.lost} packets lost`,
        );
        for (const samples of [video, audio])
          for (const [i, { decoded }] of samples.slice(1).entries())
            assert.ok(decoded > samples[i].decoded, `nothing new in step ${i}: ${JSON.stringify(samples)}`);
        assert.ok(back >= 0.8 * sent, `${back} of ${sent} frames came back`);
        assert.ok(sent >= 15, `the browser sent only ${sent} frames`);
        assert.ok(sound > 0.8 * 3 * 48_000, `${sound} samples`);
        assert.ok(found.energy > 0, 'what came back is silent');
        assert.ok(found.sized, `${SIZE} was drawn, ${found.sent} sent, ${found.seen} came back`);
      });
    }

    test(`sound alone and pictures alone, as ${role}`, LIMIT, async () => {
      const took = await media.inside(async (role) => {
        const took = {};
        for (const kind of ['audio', 'video']) {
          const connection = await media.connect({ role, kinds: [kind] });
          took[kind] = await media.flows(connection[kind]);
          media.close(connection);
        }
        return took;
      }, role);
      assert.deepEqual(Object.keys(took), ['audio', 'video']);
    });

    test(`/api/stats agrees with the browser, as ${role}`, LIMIT, async (t) => {
      const { server, before, after, mids } = await media.inside(async (role) => {
        const connection = await media.connect({ role, codec: 'VP8' });
        const both = [connection.audio, connection.video];
        const browser = () => Promise.all(both.map((transceiver) => media.statistics(transceiver)));
        await media.sleep(5000);
        const before = await browser();
        const server = await (await fetch(`/api/stats/${connection.id}`)).json();
        await media.sleep(100); // Chromium gives the same report again within 50 ms
        const after = await browser();
        const mids = both.map(({ mid }) => mid);
        media.close(connection);
        return { server, before, after, mids };
      }, role);
      assert.equal(server.state, 'connected');
      assert.equal(server.srtp_dropped, 0, 'nothing that a browser sends fails authentication');
      for (const [i, mid] of mids.entries()) {
        const entry = server.media.find((entry) => entry.mid === mid);
        assert.ok(entry, `no m-line ${mid} in ${JSON.stringify(server.media)}`);
        assert.equal(entry.direction, 'sendrecv');
        assert.equal(entry.kind, ['audio', 'video'][i]);
        assert.equal(entry.codec.toLowerCase(), ['opus', 'vp8'][i]);
        const counts = {
          'to the server': [before[i].outbound.packetsSent, arrived(entry.inbound), after[i].outbound.packetsSent],
          'from the server': [
            before[i].inbound.packetsReceived,
            entry.outbound.packets,
            after[i].inbound.packetsReceived,
          ],
        };
        for (const [way, [first, there, last]] of Object.entries(counts)) {
          t.diagnostic(
            `${entry.kind} ${way}: ${there} packets in the server's eyes, ${first} to ${last} in the browser's`,
          );
          assert.ok(first > 100, `${first} packets`);
          assert.ok(there >= 0.97 * first && there <= 1.03 * last, `${there}, not ${first} to ${last} packets ${way}`);
        }
      }
    });
  }

  test('a request for a key frame passes through to the one who sends', LIMIT, async (t) => {
    const found = await media.inside(
      async () => {
        const source = `onrtctransform = ({ transformer }) => {
          transformer.readable.pipeTo(transformer.writable);
          onmessage = () => transformer.sendKeyFrameRequest().catch((error) => postMessage(String(error)));
        };`;
        const url = URL.createObjectURL(new Blob([source], { type: 'text/javascript' }));
        const worker = new Worker(url);
        const failed = new Promise((_, fail) => {
          worker.onerror = ({ message }) => fail(Error(`the worker: ${message}`));
          worker.onmessage = ({ data }) => fail(Error(`sendKeyFrameRequest: ${data}`));
        });
        const connection = await media.connect({ kinds: ['video'], codec: 'VP8' });
        connection.video.receiver.transform = new RTCRtpScriptTransform(worker);
        await media.flows(connection.video);
        const counts = async () => {
          const { inbound, outbound } = await media.statistics(connection.video);
          const { pliCount, firCount, keyFramesEncoded } = outbound;
          return { heard: pliCount + firCount, made: keyFramesEncoded, back: inbound.keyFramesDecoded };
        };
        const before = await counts();
        const asked = [];
        for (let i = 1; i <= 3; i++) {
          await media.sleep(1000); // more often, and a sender may take two requests for one
          worker.postMessage('now');
          const began = performance.now();
          let now;
          const grown = async () => {
            now = await counts();
            return Object.keys(now).every((key) => before[key] === undefined || now[key] >= before[key] + i);
          };
          await Promise.race([failed, media.until('a key frame', grown, 5000)]).catch((error) => {
            throw Error(`request ${i}: ${error.message}; before ${JSON.stringify(before)}, now ${JSON.stringify(now)}`);
          });
          asked.push(performance.now() - began);
        }
        await media.flows(connection.video);
        media.close(connection);
        return asked;
      },
      undefined,
      await withoutPolicy(media.server, t),
    );
    t.diagnostic(`key frames came back ${rounded(found)} ms after they were asked for`);
    assert.equal(found.length, 3);
  });

  test('statistics of no connection are 404', { timeout: 15_000 }, async () => {
    const response = await fetch(`${media.server.origin}/api/stats/none`);
    assert.equal(response.status, 404);
  });
});

/** Packets of a browser's count: it probes with packets that were there already or carry nothing. */
const arrived = ({ packets, duplicates = 0, probes = 0 }) => packets + duplicates + probes;

/**
 * An empty page with the server's interface and without its Content-Security-Policy, which forbids workers that are made
 * on the spot.
 */
async function withoutPolicy(server, t) {
  const proxy = createServer(async (request, response) => {
    if (request.method === 'GET' && !request.url.startsWith('/api/')) {
      return response.setHeader('content-type', 'text/html').end('<!doctype html><title>empty</title>');
    }
    const { method } = request;
    const body = method === 'POST' ? Buffer.concat(await request.toArray()) : undefined;
    const reply = await fetch(server.origin + request.url, { method, body });
    response.writeHead(reply.status, { 'content-type': reply.headers.get('content-type') });
    response.end(Buffer.from(await reply.arrayBuffer()));
  });
  await new Promise((done) => proxy.listen(0, '127.0.0.1', done));
  t.after(() => proxy.close());
  return `http://127.0.0.1:${proxy.address().port}/`;
}
