import { type AddressInfo, connect, createServer } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { BenchError, type Child } from '../harness/processes.ts';

/** For servers that do not let the system choose. */
export async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  await new Promise((resolve) => server.close(resolve));
  return port;
}

function accepts(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1');
    socket.once('connect', () => resolve(true)).once('error', () => resolve(false));
    socket.once('connect', () => socket.destroy());
  });
}

/** Waits until connections to the port are accepted. */
export async function listening(port: number, child: Child): Promise<void> {
  for (let i = 0; i < 200; i++) {
    if (await accepts(port)) return;
    await sleep(25);
  }
  throw new BenchError(`${child.command} does not listen: ${child.stderr}`);
}
