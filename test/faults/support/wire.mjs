// Clients: one that sends raw bytes, and one that behaves well and takes the time.
import { Agent, request } from 'node:http';
import { connect } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { bounded, eventually, median, quantile } from './measure.mjs';

/** A server's address as `net.connect()` takes it. */
export function target(address) {
  return typeof address === 'string' ? { path: address } : { host: address[0], port: address[1] };
}

/** A connection on which bytes are sent as they are. */
export class Wire {
  /** What has come, as Latin-1. */
  received = '';
  /** 'fin' or 'reset' once the server has ended the connection. */
  ending = null;

  constructor(address, options = {}) {
    this.socket = connect({ allowHalfOpen: true, ...options, ...target(address) });
    this.socket.setNoDelay(true);
    this.socket.on('data', (bytes) => {
      this.received += bytes.toString('latin1');
    });
    this.socket.on('end', () => {
      this.ending ??= 'fin';
    });
    this.socket.on('error', () => {
      this.ending ??= 'reset';
    });
    this.socket.on('close', () => {
      this.ending ??= 'fin';
    });
    this.connected = new Promise((resolve, reject) => {
      this.socket.once('connect', resolve);
      this.socket.once('error', reject);
    });
  }

  static async open(address, options) {
    const wire = new Wire(address, options);
    await bounded(wire.connected, 'the connection');
    return wire;
  }

  send(bytes) {
    this.socket.write(bytes, 'latin1');
  }

  /** Waits until `text` has come. */
  async until(text, milliseconds) {
    const came = () => this.received.includes(text) || this.ending !== null;
    await eventually(came, `the client gets ${JSON.stringify(text)}`, milliseconds);
    if (!this.received.includes(text)) {
      throw new Error(`the connection ended (${this.ending}) without ${JSON.stringify(text)}`);
    }
  }

  /** Waits until the server ends the connection; returns how. */
  async ended(milliseconds) {
    await eventually(() => this.ending !== null, 'the server ends the connection', milliseconds);
    return this.ending;
  }

  /** Status codes of all the responses that have come. */
  get statuses() {
    return [...this.received.matchAll(/^HTTP\/1\.1 ([0-9]{3}) /gm)].map(([, code]) => Number(code));
  }

  /** Closes by a reset, which a unix socket does not know. */
  reset() {
    if (this.socket.remoteFamily === undefined) this.socket.destroy();
    else this.socket.resetAndDestroy();
  }

  destroy() {
    this.socket.destroy();
  }
}

/** A request without a body. */
export function get(path = '/', ...fields) {
  const lines = [`GET ${path} HTTP/1.1`, 'Host: faults', ...fields];
  return `${lines.join('\r\n')}\r\n\r\n`;
}

/** One request by node:http; resolves with the response, and calls `take` with each piece. */
function exchange(address, path, agent, take) {
  const { path: socketPath, ...where } = target(address);
  return new Promise((resolve, reject) => {
    const sent = request({ ...where, socketPath, path, agent }, (response) => {
      response.on('error', reject).on('end', () => resolve(response));
      response.on('data', take);
    });
    sent.on('error', reject).setTimeout(10_000, () => sent.destroy(new Error('no answer in 10 s')));
    sent.end();
  });
}

/** One request; resolves with the status. */
export async function ask(address, path = '/', agent = false) {
  return (await exchange(address, path, agent, () => {})).statusCode;
}

/** One request; resolves with the status and the body. */
export async function fetchBody(address, path) {
  const pieces = [];
  const { statusCode } = await exchange(address, path, false, (piece) => pieces.push(piece));
  return { status: statusCode, body: Buffer.concat(pieces) };
}

/**
 * A client that behaves well while others do not: asks again and again, now on one connection that
 * it keeps, now on a new one, until it is stopped.
 */
export class GoodClient {
  /** Milliseconds that each answer took. */
  times = [];
  /** Answers that were no 200, and errors. */
  failures = [];
  #going = true;
  #agent = new Agent({ keepAlive: true, maxSockets: 1 });

  constructor(address) {
    this.#run(address, this.#agent);
    this.#run(address, false);
  }

  async #run(address, agent) {
    while (this.#going) {
      const began = performance.now();
      try {
        const status = await ask(address, '/', agent);
        if (status !== 200) this.failures.push(`status ${status}`);
      } catch (error) {
        this.failures.push(error.message);
      }
      this.times.push(performance.now() - began);
      await sleep(5);
    }
  }

  stop() {
    this.#going = false;
    this.#agent.destroy();
  }

  /** The figure of what it saw until now; `limit` is that of the 99th percentile. */
  figure(limit) {
    const { times, failures } = this;
    const p99 = quantile(times, 0.99);
    const shown =
      `good client p99 ${p99.toFixed(1)} ms, median ${median(times).toFixed(1)} ms, ` +
      `worst ${quantile(times, 1).toFixed(0)} ms, ` +
      `${times.length} requests, ${failures.length} failed`;
    const said = failures.length > 0 ? ` (${failures[0]})` : '';
    return [shown + said, p99 < limit && failures.length === 0 && times.length >= 100];
  }
}
