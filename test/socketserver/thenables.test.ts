import { setTimeout as sleep } from 'node:timers/promises';
import { expect, it } from 'vitest';
import {
  BaseRequestHandler,
  type ClientAddress,
  type RequestHandlerClass,
  type StreamSocket,
  TCPServer,
} from '../../src/index.ts';
import { describeBackends } from '../support/backends.ts';
import { clientKeeper, eventually, serverKeeper } from '../support/servers.ts';
import { thenable } from '../support/thenables.ts';

class ReportingServer extends TCPServer {
  readonly errors: unknown[] = [];

  override handleError(_request: StreamSocket, _address: ClientAddress, error: unknown): void {
    this.errors.push(error);
  }
}

describeBackends('a promise of another kind than the built-in one', (selector) => {
  const { keep, serve } = serverKeeper();
  const clients = clientKeeper();

  function make(handler: RequestHandlerClass): ReportingServer {
    return keep(new ReportingServer(['127.0.0.1', 0], handler, { selector }));
  }

  it('is waited for when handle() returns it, and finish() after it', async () => {
    const order: string[] = [];
    class Later extends BaseRequestHandler {
      override handle(): Promise<void> {
        return thenable(async () => {
          await sleep(20);
          order.push('handled');
          this.request.write(Buffer.from('answer'));
        }) as Promise<void>;
      }

      override finish(): Promise<void> {
        return thenable(async () => {
          await sleep(20);
          order.push('finished');
        }) as Promise<void>;
      }
    }
    const server = make(Later);
    serve(server);
    const client = await clients.connect(server.serverAddress);
    expect(await client.end()).toBe('answer');
    expect(order).toEqual(['handled', 'finished']);
    expect(server.errors).toEqual([]);
  });

  it('is told to handleError() when it is rejected', async () => {
    const failure = new Error('later');
    class Failing extends BaseRequestHandler {
      override handle(): Promise<void> {
        return thenable(() => Promise.reject(failure)) as Promise<void>;
      }
    }
    const server = make(Failing);
    serve(server);
    const client = await clients.connect(server.serverAddress);
    expect(await client.end()).toBe('');
    expect(server.errors).toEqual([failure]);
  });

  it('is no yes of verifyRequest()', async () => {
    let handled = 0;
    class Counted extends BaseRequestHandler {
      override handle(): void {
        handled++;
      }
    }
    const server = make(Counted);
    server.verifyRequest = () => thenable(() => false) as unknown as boolean;
    serve(server);
    const client = await clients.connect(server.serverAddress);
    expect(await client.end()).toBe('');
    expect(handled).toBe(0);
    expect(server.errors).toEqual([expect.objectContaining({ code: 'ERR_RYEGATE_ASYNC' })]);
  });

  it('is refused of serviceActions(), and its rejection is no further fault', async () => {
    const unhandled: unknown[] = [];
    const note = (error: unknown): number => unhandled.push(error);
    process.on('unhandledRejection', note);
    const server = make(BaseRequestHandler);
    server.serviceActions = () =>
      thenable(() => {
        throw new Error('seen by nobody');
      }) as unknown as undefined;
    let failure: { code?: string } | null = null;
    server.serveForever(0.01).catch((error) => {
      failure = error;
    });
    await eventually(() => failure !== null, 'the serving has ended');
    await sleep(5);
    process.off('unhandledRejection', note);
    expect(failure).toMatchObject({ code: 'ERR_RYEGATE_ASYNC' });
    expect(unhandled).toEqual([]);
  });
});
