// A client that takes a large body apart as it comes, and keeps none of it.
import { connect } from 'node:net';
import { eventually } from './measure.mjs';
import { get, target } from './wire.mjs';

const HEAD_END = '\r\n\r\n';
const MOST_BEHIND = 4096;

/** A GET whose body is checked, on a connection of its own. */
export class Download {
  status = 0;
  /** What the head promised; NaN without a Content-Length. */
  length = Number.NaN;
  /** Bytes of the body that have come. */
  taken = 0;
  /** Where the body was not as expected for the first time; -1: nowhere. */
  wrongAt = -1;
  /** What came behind the body. */
  behind = '';
  /** 'fin' or 'reset' once the server has ended the connection. */
  ending = null;
  /** Milliseconds that the client rests after each piece. */
  stall;
  #head = '';
  #isAsExpected;

  /**
   * `isAsExpected(bytes, position)` says whether they are what the body has there; `next` is the
   * path that is asked for behind.
   */
  constructor(address, path, isAsExpected, { stall = 0, next = '', fields = [] } = {}) {
    this.#isAsExpected = isAsExpected;
    this.stall = stall;
    this.socket = connect({ allowHalfOpen: true, ...target(address) });
    this.socket.write(get(path, ...fields) + (next === '' ? '' : get(next)));
    this.socket.on('data', (bytes) => {
      this.#take(bytes);
      if (this.stall > 0) this.#rest();
    });
    this.socket.on('error', () => this.#end('reset'));
    for (const event of ['end', 'close']) this.socket.on(event, () => this.#end('fin'));
  }

  #end(ending) {
    this.ending ??= ending;
    this.socket.destroy();
  }

  #rest() {
    this.socket.pause();
    setTimeout(() => this.socket.resume(), this.stall);
  }

  #take(bytes) {
    const rest = this.status === 0 ? this.#takeHead(bytes) : bytes;
    const body = rest.subarray(0, Number.isNaN(this.length) ? rest.length : this.#owed);
    if (this.wrongAt < 0 && !this.#isAsExpected(body, this.taken)) this.wrongAt = this.taken;
    this.taken += body.length;
    this.behind = (this.behind + rest.toString('latin1', body.length)).slice(0, MOST_BEHIND);
  }

  #takeHead(bytes) {
    const before = this.#head.length;
    this.#head += bytes.toString('latin1');
    const end = this.#head.indexOf(HEAD_END);
    if (end < 0) return bytes.subarray(bytes.length);
    this.#head = this.#head.slice(0, end + HEAD_END.length);
    this.status = Number(/^HTTP\/1\.1 ([0-9]{3}) /.exec(this.#head)?.[1]);
    this.length = Number(/^Content-Length: ([0-9]+)\r$/im.exec(this.#head)?.[1]);
    return bytes.subarray(this.#head.length - before);
  }

  get #owed() {
    return this.length - this.taken;
  }

  /** Whether all that was promised has come as expected. */
  get isWhole() {
    return this.status === 200 && this.taken === this.length && this.wrongAt < 0;
  }

  /** Waits until so many bytes of the body have come, or no more will come. */
  async until(count, milliseconds) {
    const came = () => this.taken >= count || this.ending !== null;
    await eventually(came, `the client gets ${count} bytes (${this.taken} came)`, milliseconds);
  }

  /** Waits until the body is here, and what follows ends in `text`; or the server has ended it. */
  async finished(text = '', milliseconds = 30_000) {
    const over = () =>
      this.ending !== null ||
      (this.status !== 0 && this.taken === this.length && this.behind.endsWith(text));
    await eventually(over, `the download is over (${this.taken} bytes came)`, milliseconds);
    this.socket.destroy();
  }
}
