// A call through a bad cable: Chromium on one side, the server on the other, and 2 of 100 datagrams lost each way. Run by
// tests/lib/wire.py, which makes the cable and says in the environment where its ends are.
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { launch, withPage } from './lib/browser.mjs';
import { prepare } from './lib/in-page.mjs';
import { prepareMedia } from './lib/in-page-media.mjs';
import { Server } from './lib/server.mjs';
import { rounded } from './lib/suite.mjs';

const SECONDS = 30;
const LONGEST_GAP = 1000; // milliseconds between two frames that came back
const { WIRE_FAR, WIRE_ENTER } = process.env;

/** Runs in the page: a call of some seconds, and what became of it. */
async function call({ role, codec, seconds }) {
  const connection = await media.connect({ role, codec });
  const { video, audio } = connection;
  const first = await media.firstFrame(connection);
  await media.flows(audio);
  const view = media.watch(video.receiver.track);
  const chatter = media.chatter(connection.channel);
  const both = () => Promise.all([media.statistics(video), media.statistics(audio)]);
  const before = await both();
  const began = performance.now();
  await media.sleep(1000 * seconds);
  const gap = media.longestGap(view, began);
  const shown = view.frames.filter((time) => time > began);
  const gaps = shown.slice(1).map((time, i) => time - shown[i]);
  const after = await both();
  const messages = await chatter.end();
  const server = await (await fetch(`/api/stats/${connection.id}`)).json();
  const grown = (i, way, what) => (after[i][way][what] ?? 0) - (before[i][way][what] ?? 0);
  const found = {
    first,
    gap,
    long: gaps.filter((ms) => ms > 200).toSorted((a, b) => b - a),
    frames: {
      sent: grown(0, 'outbound', 'framesEncoded'),
      back: grown(0, 'inbound', 'framesDecoded'),
      shown: shown.length,
    },
    freezes: { count: grown(0, 'inbound', 'freezeCount'), seconds: grown(0, 'inbound', 'totalFreezesDuration') },
    here: {
      nacks: grown(0, 'inbound', 'nackCount'),
      plis: grown(0, 'inbound', 'pliCount'),
      recovered: grown(0, 'inbound', 'retransmittedPacketsReceived'),
      packets: grown(0, 'inbound', 'packetsReceived'),
      lost: grown(0, 'inbound', 'packetsLost'),
    },
    there: { nacks: grown(0, 'outbound', 'nackCount'), plis: grown(0, 'outbound', 'pliCount') },
    concealed: grown(1, 'inbound', 'concealedSamples') / grown(1, 'inbound', 'totalSamplesReceived'),
    size: `${view.width}x${view.height}`,
    rate: (8 * grown(0, 'outbound', 'bytesSent')) / 1000 / seconds,
    messages,
    server: server.media?.find(({ mid }) => mid === video.mid),
    dropped: server.srtp_dropped,
  };
  media.close(connection);
  return found;
}

describe('a cable that loses packets', { timeout: 600_000 }, () => {
  let server, chrome;
  before(
    async () => {
      assert.ok(WIRE_FAR && WIRE_ENTER, 'run it with tests/lib/wire.py: see tests/run wire');
      server = await Server.start(`${WIRE_FAR}:8080`, {
        enter: WIRE_ENTER.split(' '),
        more: ['--ice-address', WIRE_FAR],
      });
      chrome = await launch('chromium');
      console.log(`${chrome.version} against ${server.origin}`);
    },
    { timeout: 90_000 },
  );
  after(
    async () => {
      await chrome?.close();
      await server?.stop();
    },
    { timeout: 30_000 },
  );

  for (const role of ['offerer', 'answerer']) {
    test(`${SECONDS} seconds of VP8 and Opus without a freeze, as ${role}`, { timeout: 120_000 }, async (t) => {
      const found = await withPage(chrome.browser, `${server.origin}/#wait`, async (page) => {
        await prepare(page);
        await prepareMedia(page);
        return page.evaluate(call, { role, codec: 'VP8', seconds: SECONDS });
      });
      const { frames, freezes, here, there } = found;
      t.diagnostic(`${frames.sent} frames sent, ${frames.back} came back, ${frames.shown} shown; ${found.size}`);
      t.diagnostic(`longest gap ${found.gap.toFixed(0)} ms; over 200 ms: ${rounded(found.long) || 'none'}`);
      t.diagnostic(`Chromium counts ${freezes.count} freezes, ${freezes.seconds.toFixed(2)} s in all`);
      t.diagnostic(`the browser asked again ${here.nacks} times, got ${here.recovered} packets, ${here.plis} PLIs`);
      t.diagnostic(`the server asked again ${there.nacks} times, ${there.plis} PLIs; ${JSON.stringify(found.server)}`);
      t.diagnostic(
        `${(100 * found.concealed).toFixed(2)} % of the sound concealed, ${found.messages} messages beside it`,
      );
      t.diagnostic(`first frame after ${found.first.toFixed(0)} ms, ${found.rate.toFixed(0)} kbit/s sent`);
      assert.ok(here.nacks > 0, 'nothing was lost on the way back: the cable is too good');
      assert.ok(there.nacks > 0, 'the server never asked for what it lost');
      assert.ok(found.gap < LONGEST_GAP, `${found.gap} ms without a frame`);
      assert.ok(freezes.seconds < 1, `${freezes.seconds} s of freezes`);
      assert.ok(frames.back >= 0.9 * frames.sent, `${frames.back} of ${frames.sent} frames came back`);
      assert.ok(frames.sent >= 15 * SECONDS, `the browser sent only ${frames.sent} frames`);
      assert.ok(found.concealed < 0.1, `${found.concealed} of the sound was made up`);
      assert.equal(found.dropped, 0);
    });
  }
});
