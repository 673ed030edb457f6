import { isDeepStrictEqual } from 'node:util';
import { eventually, field, type RawResponse } from '../support/rawclient.ts';
import type { Expected, ExpectedRun } from './casefile.ts';
import type { Connection, Run } from './corpusserver.ts';
import type { Plan } from './plans.ts';

/** What comes of the request that was put before or after a case, but for its path. */
const BEFORE_OR_AFTER: ExpectedRun = {
  method: 'GET',
  path: '',
  query: '',
  body: '',
  environ: { HTTP_HOST: 'a' },
  trailers: [],
};

/** Compares all that comes of a case with what is expected; throws where they differ. */
export async function verify(plan: Plan, connection: Connection): Promise<void> {
  const verifier = new Verifier(plan, connection);
  if (plan.before) await verifier.run({ ...BEFORE_OR_AFTER, path: '/before' }, true);
  const expected = plan.before ? plan.item.behind : plan.item.expected;
  for (const one of expected) await verifier.answer(one);
  await verifier.ending(expected.at(-1) as Expected);
}

class Verifier {
  readonly #plan: Plan;
  readonly #connection: Connection;
  /** Requests that should have been run so far. */
  #runs = 0;
  /** An interim response that may come is here already. */
  #held: RawResponse | null = null;
  #method = 'GET';

  constructor(plan: Plan, connection: Connection) {
    this.#plan = plan;
    this.#connection = connection;
  }

  async answer(expected: Expected): Promise<void> {
    if (expected.kind === 'run') await this.run(expected.run, expected.keep !== 'no');
    else if (expected.kind === 'refusal') {
      this.#method = expected.method;
      await this.#refusal(expected.status, expected.code);
    } else if (expected.kind === 'interim') await this.#interim(expected.optional);
  }

  async run(expected: ExpectedRun, kept: boolean): Promise<void> {
    this.#method = expected.method;
    const response = await this.#response();
    check('status', response.status, 200);
    const run = this.#connection.log.runs[this.#runs++] as Run;
    check('request', shown(run, expected), { ...expected });
    checkConnection(response, kept, run.environ.SERVER_PROTOCOL as string);
    const bodiless = expected.method === 'HEAD' || expected.method === 'CONNECT';
    if (bodiless) check('size of the answer', response.body.length, 0);
    else check('answer', JSON.parse(response.body.toString()), run);
  }

  async #refusal(status: number, code: string): Promise<void> {
    const response = await this.#response();
    const { log } = this.#connection;
    check('refusal', [response.status, ...log.refusals], [status, code]);
    check('Connection', field(response, 'Connection'), 'close');
    check('framing', response.framing, this.#method === 'HEAD' ? 'none' : 'length');
    // One that was refused in its body has been given to the application.
    if (log.runs.at(-1)?.reading) this.#runs++;
  }

  async #interim(optional: boolean): Promise<void> {
    const response = await this.#response();
    if (optional && response.status !== 100) {
      check('split', this.#plan.split, false);
      this.#held = response;
      return;
    }
    check('interim response', [response.status, response.fields], [100, []]);
  }

  async #response(): Promise<RawResponse> {
    const held = this.#held;
    this.#held = null;
    return held ?? (await this.#connection.client.response(this.#method));
  }

  /** What comes after the last expected answer. */
  async ending(last: Expected): Promise<void> {
    if (last.kind === 'incomplete') {
      await this.#incomplete();
      return;
    }
    const { client, log } = this.#connection;
    const goesOn = last.kind === 'run' && last.keep === 'yes';
    if (goesOn) {
      if (this.#plan.after) await this.run({ ...BEFORE_OR_AFTER, path: '/after' }, true);
      client.halfClose();
    }
    check('what follows', (await client.rest()).toString('latin1'), '');
    check('ending', client.ending, 'fin');
    check('requests that were run', log.runs.length, this.#runs);
    check('refusals', log.refusals.length, last.kind === 'refusal' ? 1 : 0);
  }

  /** Nothing is answered, until the client says that nothing more will come. */
  async #incomplete(): Promise<void> {
    const { client, log } = this.#connection;
    const sent = this.#plan.pieces.reduce((sum, { length }) => sum + length, 0);
    await eventually(() => log.received === sent, 'all is received');
    check('answer to what is incomplete', client.pending.toString('latin1'), '');
    check('connection', client.ending, null);
    const reading = log.runs.length > this.#runs;
    client.halfClose();
    if (!reading) check('answer to what broke off', (await client.rest()).toString('latin1'), '');
    else await this.#refusal(400, 'ERR_RYEGATE_CLIENT_GONE');
    check('requests that were run', log.runs.length, this.#runs);
  }
}

/** What was run, as far as a case tells about it. */
function shown(run: Run, expected: ExpectedRun): ExpectedRun {
  const { method, path, query, body, trailers } = run;
  const environ: Record<string, string> = {};
  for (const [name, value] of Object.entries(run.environ)) {
    const complete = /^(HTTP|CONTENT)_/.test(name);
    if (complete || Object.hasOwn(expected.environ, name)) environ[name] = value;
  }
  return { method, path, query, body, environ, trailers };
}

function checkConnection(response: RawResponse, kept: boolean, protocol: string): void {
  // A 1.0 client takes silence for the end of the connection.
  const silence = protocol === 'HTTP/1.0' && !kept ? 'close' : 'nothing';
  const said = field(response, 'Connection') ?? silence;
  check('Connection', said, kept ? 'keep-alive' : 'close');
}

function check(what: string, found: unknown, expected: unknown): void {
  if (isDeepStrictEqual(found, expected)) return;
  throw new Error(`${what}: ${JSON.stringify(found)}, expected ${JSON.stringify(expected)}`);
}
