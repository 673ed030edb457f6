import { createHash } from 'node:crypto';
import { Agent, get, type IncomingMessage } from 'node:http';
import { BenchError } from './processes.ts';
import type { TestFile } from './testfiles.ts';

function request(url: string, agent: Agent): Promise<IncomingMessage> {
  return new Promise((resolve, reject) => {
    get(url, { agent }, resolve).on('error', reject);
  });
}

/** Fails unless the server answers with just the bytes of the file, their length declared. */
export async function checkSame(server: string, origin: string, file: TestFile): Promise<void> {
  const agent = new Agent({ keepAlive: true });
  const response = await request(`${origin}${file.path}`, agent);
  const hash = createHash('sha256');
  let bytes = 0;
  for await (const chunk of response as AsyncIterable<Buffer>) {
    bytes += chunk.length;
    hash.update(chunk);
  }
  agent.destroy();
  const found = [
    `status ${response.statusCode}`,
    `Content-Length ${response.headers['content-length']}`,
    `${bytes} bytes`,
    `SHA-256 ${hash.digest('hex')}`,
  ];
  const expected = [
    'status 200',
    `Content-Length ${file.bytes}`,
    `${file.bytes} bytes`,
    `SHA-256 ${file.sha256}`,
  ];
  const index = found.findIndex((value, i) => value !== expected[i]);
  if (index === -1) return;
  throw new BenchError(
    `${server} answers ${file.path} with ${found[index]}, expected ${expected[index]}`,
  );
}
