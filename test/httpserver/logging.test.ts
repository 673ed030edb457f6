import { afterEach, describe, expect, it, vi } from 'vitest';
import { BaseHTTPRequestHandler, HTTPServer } from '../../src/index.ts';
import { get } from '../support/exchange.ts';
import { RawClient } from '../support/rawclient.ts';

class Hello extends BaseHTTPRequestHandler {
  doGET(): void {
    this.sendResponse(200);
    this.sendHeader('Content-Length', '0');
    this.endHeaders();
  }
}

const LINE = /^127\.0\.0\.1 - - \[\d\d\/[A-Z][a-z]{2}\/\d{4} \d\d:\d\d:\d\d\] (.*)\n$/;

describe('the log', () => {
  const written: string[] = [];
  let server: HTTPServer | null = null;
  afterEach(async () => {
    vi.restoreAllMocks();
    written.length = 0;
    await server?.serverClose();
  });

  /** What is written to standard error for `message`. */
  async function log(
    handlerClass: typeof BaseHTTPRequestHandler,
    message: string,
    logRequests = true,
  ): Promise<string[]> {
    vi.spyOn(process.stderr, 'write').mockImplementation((chunk) => {
      written.push(String(chunk));
      return true;
    });
    server = new HTTPServer(['127.0.0.1', 0], handlerClass, { logRequests });
    server.serveForever();
    const client = await RawClient.connect(server.serverAddress);
    await client.send(message);
    await client.response();
    client.destroy();
    return [...written];
  }

  it('has the client, the time, the request line, the status and the size', async () => {
    const [line, ...others] = await log(Hello, get('/a?b=c'));
    expect(others).toEqual([]);
    expect(LINE.exec(line ?? '')?.[1]).toBe('"GET /a?b=c HTTP/1.1" 200 -');
  });

  it('is off by default', async () => {
    expect(await log(Hello, get(), false)).toEqual([]);
  });

  it('tells what went wrong, then the request', async () => {
    const lines = await log(Hello, 'BREW /pot HTTP/1.1\r\nHost: x\r\n\r\n');
    expect(lines.map((line) => LINE.exec(line)?.[1])).toEqual([
      "code 501, message Unsupported method ('BREW')",
      '"BREW /pot HTTP/1.1" 501 -',
    ]);
  });

  it('has an empty request line for what could not be read', async () => {
    const lines = await log(Hello, '\x17\x03\x01\x02garbage\r\n\r\n');
    expect(lines.map((line) => LINE.exec(line)?.[1])).toEqual([
      'code 400, message Bad Request',
      '"" 400 -',
    ]);
  });

  it('escapes control characters and backslashes', async () => {
    class Forging extends Hello {
      override doGET(): void {
        this.logMessage('a\r\nb\x1b[31m\t\x7f\x85\\ é');
        super.doGET();
      }
    }
    const [line] = await log(Forging, get());
    expect(LINE.exec(line ?? '')?.[1]).toBe('a\\x0d\\x0ab\\x1b[31m\\x09\\x7f\\x85\\\\ é');
  });

  it('goes through the methods that a subclass overrides', async () => {
    class Mine extends Hello {
      override addressString(): string {
        return 'somebody';
      }

      override logDateTimeString(): string {
        return 'today';
      }

      override logRequest(code: number | string, size?: number | string): void {
        this.logMessage(`${this.command}=${code},${size}`);
      }
    }
    expect(await log(Mine, get(), false)).toEqual(['somebody - - [today] GET=200,undefined\n']);
  });

  it('of logError() alone', async () => {
    class Mine extends Hello {
      override logRequest(): void {}
    }
    const lines = await log(Mine, 'BREW / HTTP/1.1\r\nHost: x\r\n\r\n');
    expect(lines).toHaveLength(1);
    expect(lines[0]).toContain('Unsupported method');
  });
});
