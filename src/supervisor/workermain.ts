import type { Envelope, StartMessage } from './messages.ts';
import { Worker } from './worker.ts';

// The program of a worker process.

process.once('message', ({ ryegate }: Envelope<StartMessage>) => {
  new Worker(ryegate).run();
});
