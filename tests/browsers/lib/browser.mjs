// Debian's browsers, headless, without background traffic, allowed to use loopback in WebRTC.
import puppeteer from 'puppeteer-core';
import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

export const BROWSERS = ['chromium', 'firefox'];
const PROGRAMS = {
  chromium: process.env.CHROMIUM || '/usr/bin/chromium',
  firefox: process.env.FIREFOX || '/usr/bin/firefox-esr',
};
const CLOSE_LIMIT = 8_000;

const CHROMIUM_ARGUMENTS = [
  '--headless',
  '--no-sandbox',
  '--disable-gpu',
  '--disable-dev-shm-usage',
  '--disable-quic',
  '--no-first-run',
  '--no-default-browser-check',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
  '--disable-domain-reliability',
  '--metrics-recording-only',
  '--allow-loopback-in-peer-connection',
  // A camera, a microphone and a screen that need neither devices nor a person; sound may play at once.
  '--use-fake-device-for-media-stream',
  '--use-fake-ui-for-media-stream',
  '--auto-select-desktop-capture-source=Entire screen',
  '--autoplay-policy=no-user-gesture-required',
  // Host candidates as they are: there is no mDNS on a namespace's loopback.
  '--disable-features=WebRtcHideLocalIpsWithMdns,OptimizationHints,MediaRouter,DialMediaRouteProvider',
];

const NOWHERE = 'http://127.0.0.1:9/';
const FIREFOX_PREFERENCES = {
  'media.peerconnection.ice.loopback': true,
  'media.peerconnection.ice.obfuscate_host_addresses': false,
  'media.peerconnection.ice.no_host': false,
  'media.peerconnection.ice.default_address_only': false,
  'media.navigator.streams.fake': true,
  'media.navigator.permission.disabled': true,
  'media.getdisplaymedia.enabled': true,
  'media.autoplay.default': 0,
  'media.autoplay.blocking_policy': 0,
  'media.gmp-manager.url': NOWHERE,
  'media.gmp-manager.updateEnabled': false,
  'media.gmp-gmpopenh264.autoupdate': false,
  'network.captive-portal-service.enabled': false,
  'network.connectivity-service.enabled': false,
  'network.dns.disablePrefetch': true,
  'network.manage-offline-status': false,
  'network.proxy.type': 0,
  'app.update.enabled': false,
  'browser.safebrowsing.malware.enabled': false,
  'browser.safebrowsing.phishing.enabled': false,
  'datareporting.healthreport.uploadEnabled': false,
  'services.settings.server': NOWHERE,
  'toolkit.telemetry.server': NOWHERE,
};

/**
 * Starts `name` with a profile of its own; `close` ends it, whatever state it is in. With `acceptInsecureCerts`, nobody need
 * vouch for a server's certificate.
 */
export async function launch(name, { acceptInsecureCerts = false } = {}) {
  const executablePath = PROGRAMS[name];
  if (!existsSync(executablePath))
    throw Error(`${executablePath} is missing: install ${name} (tests/run browsers says how)`);
  const profile = mkdtempSync(join(tmpdir(), `wigwag-${name}-`));
  const options = {
    executablePath,
    headless: true,
    acceptInsecureCerts,
    userDataDir: profile,
    timeout: 60_000,
    protocolTimeout: 90_000,
    env: { ...process.env, HOME: profile },
  };
  let browser;
  try {
    browser = await puppeteer.launch(
      name === 'firefox'
        ? { ...options, browser: 'firefox', extraPrefsFirefox: FIREFOX_PREFERENCES }
        : { ...options, args: CHROMIUM_ARGUMENTS },
    );
  } catch (error) {
    rmSync(profile, { recursive: true, force: true, maxRetries: 5 });
    throw error;
  }
  const close = async () => {
    let timer;
    const late = new Promise((done) => (timer = setTimeout(done, CLOSE_LIMIT, 'late')));
    if ((await Promise.race([browser.close().catch(() => 'late'), late])) === 'late')
      browser.process()?.kill('SIGKILL');
    clearTimeout(timer);
    rmSync(profile, { recursive: true, force: true, maxRetries: 5, retryDelay: 200 });
  };
  return { browser, close, version: await browser.version() };
}

/** Runs `work` with a page at `url`, and closes the page afterwards. Errors that the page did not catch fail the test. */
export async function withPage(browser, url, work) {
  const page = await browser.newPage();
  const errors = [];
  page.on('pageerror', (error) => {
    const message = String(error?.message ?? error);
    if (!message.startsWith('WebRTC: ')) errors.push(message); // what Firefox says of itself, in the page's name
  });
  try {
    await page.goto(url, { timeout: 20_000 });
    const result = await work(page);
    if (errors.length) throw Error(`uncaught in the page: ${errors.join('; ')}`);
    return result;
  } finally {
    await page.close().catch(() => {});
  }
}
