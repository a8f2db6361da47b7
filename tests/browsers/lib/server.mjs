// The server under test: the program named by WIGWAG, or the release build of this repository.
import { spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

const BUILT = fileURLToPath(new URL('../../../target/release/wigwag', import.meta.url));
const READY_LIMIT = 15_000;
const STOP_LIMIT = 3_000;

export class Server {
  /**
   * Starts it and waits for the line with its address. `listen` may name a port, to come back where an earlier one was;
   * `enter` is a command that runs it elsewhere, `more` are further options.
   */
  static async start(listen = '127.0.0.1:0', { enter = [], more = [] } = {}) {
    const program = process.env.WIGWAG || BUILT;
    if (!existsSync(program))
      throw Error(`${program} is missing: build it with "cargo build --release", or name another in WIGWAG`);
    const asked = (process.env.WIGWAG_ARGS ?? '').split(' ').filter(Boolean);
    const command = [...enter, program, 'demo', '--listen', listen, ...more, ...asked];
    const server = new Server();
    server.child = spawn(command[0], command.slice(1), { stdio: ['ignore', 'pipe', 'pipe'] });
    server.exited = new Promise((done) => server.child.once('exit', (code, signal) => done(signal ?? code)));
    server.log = '';
    server.child.stderr.on('data', (data) => (server.log = (server.log + data).slice(-20_000)));
    let out = '';
    const ready = new Promise((done) => {
      server.child.stdout.on('data', (data) => {
        out += data;
        const line = out.match(/(https?:\/\/[\d.]+:\d+)\/\s/);
        if (line) done(line[1]);
      });
    });
    const failed = new Promise((_, fail) => {
      server.child.once('error', fail);
      server.exited.then((how) => fail(Error(`the server ended (${how}) before it was ready:\n${out}${server.log}`)));
      setTimeout(
        () => fail(Error(`the server was not ready within ${READY_LIMIT} ms:\n${out}${server.log}`)),
        READY_LIMIT,
      ).unref();
    });
    failed.catch(() => {});
    try {
      server.origin = await Promise.race([ready, failed]);
    } catch (error) {
      await server.stop('SIGKILL');
      throw error;
    }
    return server;
  }

  get address() {
    return new URL(this.origin).host;
  }

  get running() {
    return this.child.exitCode === null && this.child.signalCode === null;
  }

  /** POSTs `body` (text as it is, anything else as JSON) and gives status, content type and the parsed reply. */
  async post(path, body) {
    const response = await fetch(this.origin + path, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: typeof body === 'string' ? body : JSON.stringify(body),
      signal: AbortSignal.timeout(10_000),
    });
    return { status: response.status, type: response.headers.get('content-type'), body: await response.json() };
  }

  async stop(signal = 'SIGTERM') {
    if (!this.child.pid || !this.running) return;
    this.child.kill(signal);
    const hard = setTimeout(() => this.child.kill('SIGKILL'), STOP_LIMIT);
    await this.exited;
    clearTimeout(hard);
  }
}
