import { LARGE, type TestFile } from '../harness/testfiles.ts';
import type { RunningServer } from '../servers/index.ts';
import { drain, Requests } from './drain.ts';

const SECONDS = 1;
const REQUESTS = 40_000;

/** Fills the caches. With small files it also goes on until V8 has compiled what it will compile. */
export async function warmUp(server: RunningServer, file: TestFile): Promise<void> {
  drain.prepare();
  if (file.bytes >= LARGE) {
    await drain.run({ server, file, connections: 4, seconds: SECONDS });
    return;
  }
  const clients = new Requests(server, file, 64, REQUESTS);
  await clients.connected();
  await clients.run();
  await clients.disconnect();
}
