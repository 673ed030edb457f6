import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Readable, Writable } from 'node:stream';
import { PNG } from 'pngjs';
import { bounded } from './rawclient.ts';
import { requireTool, toolEnv } from './tools.ts';

/** How long Chromium may take for anything, in milliseconds. */
const PATIENCE = 25_000;

/** What a page is shown on. */
export interface Screen {
  width: number;
  height: number;
  /** Whether it is a phone's: pages without a viewport of their own are then laid out wide. */
  mobile?: boolean;
  scheme?: 'light' | 'dark';
}

interface Message {
  id?: number;
  method?: string;
  sessionId?: string;
  params?: Record<string, unknown>;
  result?: Record<string, unknown>;
  error?: { message: string };
}

/** A headless Chromium, spoken to by its DevTools protocol over a pair of pipes. */
export class Browser {
  readonly #process: ChildProcess;
  readonly #profile: string;
  readonly #waiting = new Map<number, (message: Message) => void>();
  #onEvent: (message: Message) => void = () => {};
  #session: string | undefined;
  #unread = '';
  #last = 0;

  private constructor(profile: string) {
    this.#profile = profile;
    const flags = ['headless=new', 'no-sandbox', 'disable-gpu', 'disable-dev-shm-usage'];
    const options = [...flags, 'no-first-run', 'hide-scrollbars', `user-data-dir=${profile}`];
    const args = [...options, 'remote-debugging-pipe'].map((option) => `--${option}`);
    this.#process = spawn('chromium', [...args, 'about:blank'], {
      env: toolEnv,
      // Its helpers end with it then, who would write to the profile otherwise.
      detached: true,
      stdio: ['ignore', 'ignore', 'ignore', 'pipe', 'pipe'],
    });
    const output = this.#process.stdio[4] as Readable;
    output.setEncoding('utf8').on('data', (text: string) => this.#receive(text));
    // What is sent to one that has died: the wait for its answer fails.
    (this.#process.stdio[3] as Writable).on('error', () => {});
  }

  /** Throws, with the command that mends it, when Chromium is missing. */
  static async launch(): Promise<Browser> {
    requireTool('chromium', '--version');
    const browser = new Browser(mkdtempSync(join(tmpdir(), 'ryegate-browser-')));
    try {
      await browser.#attach();
    } catch (error) {
      await browser.close();
      throw error;
    }
    return browser;
  }

  async #attach(): Promise<void> {
    const { targetId } = await this.#send('Target.createTarget', { url: 'about:blank' });
    const attached = await this.#send('Target.attachToTarget', { targetId, flatten: true });
    this.#session = attached.sessionId as string;
    await this.#send('Page.enable');
  }

  async open(
    url: string,
    { width, height, mobile = false, scheme = 'light' }: Screen,
  ): Promise<void> {
    const metrics = { width, height, mobile, deviceScaleFactor: 1 };
    await this.#send('Emulation.setDeviceMetricsOverride', metrics);
    const features = [{ name: 'prefers-color-scheme', value: scheme }];
    await this.#send('Emulation.setEmulatedMedia', { features });
    const loaded = new Promise<void>((resolve) => {
      this.#onEvent = ({ method }) => {
        if (method === 'Page.loadEventFired') resolve();
      };
    });
    await this.#send('Page.navigate', { url });
    await bounded(loaded, `${url} to load`, PATIENCE);
  }

  /** The value of an expression, by way of JSON. */
  async evaluate<T>(expression: string): Promise<T> {
    const answer = await this.#send('Runtime.evaluate', { expression, returnByValue: true });
    if (answer.exceptionDetails !== undefined) throw new Error(JSON.stringify(answer));
    return (answer.result as { value: T }).value;
  }

  async screenshot(): Promise<{ file: Buffer; image: PNG }> {
    const { data } = await this.#send('Page.captureScreenshot', { format: 'png' });
    const file = Buffer.from(data as string, 'base64');
    return { file, image: PNG.sync.read(file) };
  }

  async close(): Promise<void> {
    if (this.#process.exitCode === null && this.#process.signalCode === null) {
      const exited = once(this.#process, 'exit');
      process.kill(-(this.#process.pid as number), 'SIGKILL');
      await exited;
    }
    // Its helpers may write for a moment more.
    rmSync(this.#profile, { recursive: true, force: true, maxRetries: 10 });
  }

  async #send(method: string, params: object = {}): Promise<Record<string, unknown>> {
    this.#last += 1;
    const id = this.#last;
    const session = this.#session === undefined ? {} : { sessionId: this.#session };
    const answer = new Promise<Message>((resolve) => {
      this.#waiting.set(id, resolve);
    });
    const request = JSON.stringify({ id, method, params, ...session });
    (this.#process.stdio[3] as Writable).write(`${request}\0`);
    const { result, error } = await bounded(answer, `Chromium's answer to ${method}`, PATIENCE);
    if (error !== undefined) throw new Error(`${method}: ${error.message}`);
    return result ?? {};
  }

  #receive(text: string): void {
    const messages = (this.#unread + text).split('\0');
    this.#unread = messages.pop() as string;
    for (const json of messages) {
      const message = JSON.parse(json) as Message;
      if (message.id === undefined) this.#onEvent(message);
      else this.#waiting.get(message.id)?.(message);
    }
  }
}
