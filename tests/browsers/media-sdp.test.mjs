// Descriptions of media that nobody should take, that everybody should, and that are refused in part: over HTTP alone, and
// in the middle of a call that must go on.
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { Server } from './lib/server.mjs';
import { inBrowsers } from './lib/suite.mjs';

const FINGERPRINT = Array.from({ length: 32 }, (_, i) => (i + 16).toString(16).toUpperCase()).join(':');
const HEAD = ['v=0', 'o=- 4611731400430051336 2 IN IP4 127.0.0.1', 's=-', 't=0 0', 'a=group:BUNDLE 0'];
const VIDEO = ['m=video 9 UDP/TLS/RTP/SAVPF 96 97', 'c=IN IP4 0.0.0.0'];
const SECURE = ['a=ice-ufrag:Abcd', 'a=ice-pwd:0123456789abcdefghijklmn', `a=fingerprint:sha-256 ${FINGERPRINT}`];
const REST = [
  ...['a=setup:actpass', 'a=mid:0', 'a=sendrecv', 'a=rtcp-mux', 'a=rtcp-rsize'],
  ...[
    'a=rtpmap:96 VP8/90000',
    'a=rtcp-fb:96 nack',
    'a=rtcp-fb:96 nack pli',
    'a=rtpmap:97 rtx/90000',
    'a=fmtp:97 apt=96',
  ],
];
const join = (...lines) => lines.flat(2).join('\r\n') + '\r\n';
const OFFER = join(HEAD, VIDEO, SECURE, REST);

/** The offer, with each `[what, by]` replaced; every `what` must be there. */
function changed(...changes) {
  return changes.reduce((sdp, [what, by]) => {
    assert.ok(sdp.includes(what), what);
    return sdp.replace(what, by);
  }, OFFER);
}

describe('descriptions of media', { timeout: 60_000 }, () => {
  let server;
  before(async () => (server = await Server.start()), { timeout: 30_000 });
  after(() => server?.stop(), { timeout: 10_000 });
  const ONE = { timeout: 15_000 };
  const offer = (sdp) => server.post('/api/echo', { type: 'offer', sdp });

  const REFUSED = {
    'without fingerprint and credentials': join(HEAD, VIDEO, REST),
    'without a fingerprint': changed([`a=fingerprint:sha-256 ${FINGERPRINT}\r\n`, '']),
    'with a fingerprint that is none': changed([FINGERPRINT, 'nothing:to:see']),
    'with a payload type that is no number': changed(['SAVPF 96 97', 'SAVPF 96 video']),
    'with a payload type of eight bits': changed(['SAVPF 96 97', 'SAVPF 96 300']),
    'without payload types': changed(['SAVPF 96 97', 'SAVPF']),
    'with a port that is no number': changed(['m=video 9 ', 'm=video nine ']),
    'with a codec without a clock': changed(['VP8/90000', 'VP8']),
    'with the same mid twice': OFFER + join(VIDEO, SECURE, REST),
    'cut short in a line': OFFER.slice(0, OFFER.indexOf('m=video') + 9),
  };
  for (const [what, sdp] of Object.entries(REFUSED)) {
    test(`an offer ${what} is refused with 400 and a reason`, ONE, async (t) => {
      const { status, type, body } = await offer(sdp);
      assert.equal(status, 400, JSON.stringify(body));
      assert.match(type, /^application\/json/);
      assert.ok(typeof body.error === 'string' && body.error !== '', JSON.stringify(body));
      t.diagnostic(body.error);
      assert.ok(server.running);
    });
  }

  const TAKEN = {
    'as it should be': OFFER,
    // So writes Firefox 153 after setCodecPreferences.
    'with feedback for codecs that are not on the m-line': changed(['a=rtcp-mux', 'a=rtcp-fb:121 nack\r\na=rtcp-mux']),
    'with attributes of another century': changed(['a=rtcp-mux', 'a=beam-me-up:42 now\r\na=scotty\r\na=rtcp-mux']),
    'with a bandwidth': changed(['c=IN IP4 0.0.0.0', 'c=IN IP4 0.0.0.0\r\nb=AS:500\r\nb=TIAS:500000']),
    'with a codec nobody knows, after one that everybody does': changed([
      'a=rtpmap:97 rtx/90000\r\na=fmtp:97 apt=96',
      'a=rtpmap:97 H999/90000',
    ]),
  };
  for (const [what, sdp] of Object.entries(TAKEN)) {
    test(`an offer ${what} is taken`, ONE, async () => {
      const { status, body } = await offer(sdp);
      assert.equal(status, 200, JSON.stringify(body));
      assert.equal(body.type, 'answer');
      assert.match(body.sdp, /^m=video [1-9]\d* \S+ 96/m);
      assert.match(body.sdp, /^a=mid:0\r$/m);
      assert.match(body.sdp, /^a=sendrecv\r$/m);
      assert.doesNotMatch(body.sdp, /H999/);
    });
  }

  const DATA = 'm=application 9 UDP/DTLS/SCTP webrtc-datachannel';
  const REJECTED = {
    'a codec nobody knows': [VIDEO, SECURE, ...REST.slice(0, 5), 'a=rtpmap:96 H999/90000', 'a=rtpmap:97 H998/90000'],
    'a kind nobody knows': ['m=smell 9 UDP/TLS/RTP/SAVPF 96', ...VIDEO.slice(1), SECURE, REST.slice(0, 5), REST[5]],
  };
  for (const [what, section] of Object.entries(REJECTED)) {
    test(`an m-line of ${what} is refused, the others are not`, ONE, async () => {
      const second = [DATA, 'c=IN IP4 0.0.0.0', SECURE, 'a=setup:actpass', 'a=mid:1', 'a=sctp-port:5000'];
      const head = [...HEAD.slice(0, 4), 'a=group:BUNDLE 0 1'];
      const { status, body } = await offer(join(head, ...section, second));
      assert.equal(status, 200, JSON.stringify(body));
      const lines = body.sdp.match(/^m=.*/gm).map((line) => line.split(' ').slice(0, 2).join(' '));
      assert.match(lines[0], /^m=\w+ 0$/);
      assert.match(lines[1], /^m=application [1-9]/);
      assert.match(body.sdp, /^a=group:BUNDLE 1\r$/m);
    });
  }
});

inBrowsers('broken changes', (media) => {
  test('a refused change leaves the call as it was', { timeout: 60_000 }, async (t) => {
    const reasons = await media.inside(async () => {
      const connection = await media.connect();
      const { pc, id, video, audio } = connection;
      const chatter = media.chatter(connection.channel);
      await Promise.all([media.flows(video), media.flows(audio)]);
      const { sdp } = await pc.createOffer();
      const broken = {
        'another kind of m-line': sdp.replace(/^m=video /m, 'm=audio '),
        'one m-line less': sdp
          .replace(/^m=video (?:.*\r\n(?!m=))*.*\r\n/m, '')
          .replace(new RegExp(`^(a=group:BUNDLE.*) ${video.mid}\\b`, 'm'), '$1'),
        'a payload type that is none': sdp.replace(/^(m=video .*) \d+\r/m, '$1 a\r'),
        'no session at all': 'hello',
      };
      const reasons = {};
      for (const [what, sdp] of Object.entries(broken)) {
        const reply = await fetch('/api/echo', { method: 'POST', body: JSON.stringify({ id, type: 'offer', sdp }) });
        const { error } = await reply.json();
        if (reply.status !== 400) throw Error(`${what}: HTTP ${reply.status} ${error}`);
        reasons[what] = error;
        await Promise.all([media.flows(video), media.flows(audio)]);
      }
      await media.negotiate(connection);
      await Promise.all([media.flows(video), media.flows(audio)]);
      await chatter.end();
      media.close(connection);
      return reasons;
    });
    for (const [what, reason] of Object.entries(reasons)) {
      t.diagnostic(`${what}: ${reason}`);
      assert.ok(reason);
    }
  });

  test('a change to a connection that is not there is refused', { timeout: 15_000 }, async () => {
    const { status, body } = await media.server.post('/api/echo', { id: 'nobody', type: 'offer', sdp: OFFER });
    assert.equal(status, 400, JSON.stringify(body));
    assert.equal(typeof body.error, 'string');
  });
});
