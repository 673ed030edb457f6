import { once } from 'node:events';
import { type AddressInfo, createServer, type Server } from 'node:net';
import { afterEach, describe, expect, it } from 'vitest';
import { checkedAnswer, sha256 } from '../../bench/harness/answers.ts';

const REQUEST = Buffer.from('GET / HTTP/1.1\r\nHost: localhost\r\n\r\n');
const HEAD = 'HTTP/1.1 200 OK\r\nContent-Type: text/plain; charset=utf-8\r\n';
const LENGTH = `${HEAD}Content-Length: 5\r\n\r\nhello`;
const EXPECTED = { type: 'text/plain', bytes: 5, sha256: sha256(Buffer.from('hello')) };

const servers: Server[] = [];

afterEach(() => {
  for (const server of servers.splice(0)) server.close();
});

/** Answers each request with the next of `answers`, over and over; a null ends the connection. */
async function serve(answers: readonly (string | null)[], pieces = 1): Promise<number> {
  let count = 0;
  const server = createServer((socket) => {
    socket.on('error', () => {});
    socket.on('data', (data) => {
      for (let left = data.length / REQUEST.length; left > 0; left--) {
        const answer = answers[count++ % answers.length] ?? null;
        if (answer === null) socket.end();
        else if (pieces === 1) socket.write(answer);
        else for (const byte of answer) socket.write(byte);
      }
    });
  });
  servers.push(server);
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return (server.address() as AddressInfo).port;
}

async function check(answers: readonly (string | null)[], count = 1, pieces = 1) {
  return checkedAnswer('it', await serve(answers, pieces), REQUEST, count, EXPECTED);
}

describe('an answer is found', () => {
  it.each([
    ['by its length', LENGTH, true],
    [
      'in chunks',
      `${HEAD}Transfer-Encoding: chunked\r\n\r\n3\r\nhel\r\n2;x\r\nlo\r\n0\r\n\r\n`,
      true,
    ],
    ['of a server that closes', LENGTH.replace('\r\n\r\n', '\r\nConnection: close\r\n\r\n'), false],
    ['of HTTP/1.0', LENGTH.replace('1.1', '1.0'), false],
  ])('%s', async (_, text, persistent) => {
    for (const pieces of [1, 2]) {
      const answer = await check([text], 3, pieces);
      expect(answer.bytes.toString()).toBe(text);
      expect(answer.body.toString()).toBe('hello');
      expect(answer.persistent).toBe(persistent);
    }
  });

  it('up to the end of the connection', async () => {
    const server = createServer((socket) => socket.end(`${HEAD}\r\nhello`).resume());
    servers.push(server);
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    const { port } = server.address() as AddressInfo;
    const answer = await checkedAnswer('it', port, REQUEST, 1, EXPECTED);
    expect(answer.body.toString()).toBe('hello');
    expect(answer.persistent).toBe(false);
  });
});

describe('a server fails', () => {
  it.each([
    ['status 404, expected status 200', [LENGTH.replace('200', '404')]],
    ['Content-Type text/html, expected Content-Type text/plain', [LENGTH.replace('plain', 'html')]],
    ['4 bytes, expected 5 bytes', [LENGTH.replace('5\r\n', '4\r\n').replace('hello', 'hell')]],
    [/^it answers with SHA-256 \w+, expected SHA-256 2cf24dba/, [LENGTH.replace('hello', 'jelly')]],
    [/^it answers with 84 and 87 bytes in turn$/, [LENGTH, LENGTH.replace('OK', 'Great')]],
    [/^the connection ended after 1 of 3 answers$/, [LENGTH, LENGTH, null]],
    [/^no HTTP answer: hello$/, ['hello\r\n\r\n']],
  ])('with %s', async (message, answers) => {
    await expect(check(answers, 3)).rejects.toThrow(message);
  });
});
