import { setTimeout as sleep } from 'node:timers/promises';
import { expect } from 'vitest';
import type { Application } from '../../src/index.ts';
import { type Exchange, PLAIN } from './exchange.ts';
import { bounded, eventually, type RawClient } from './rawclient.ts';

/** Short enough for a test, in seconds. */
export const SHORT = 0.3;
/** For so many milliseconds is waited for what must not happen after the short one. */
export const LONG: number = 3 * SHORT * 1000;
/** By then, in milliseconds, a short deadline must have fired on a machine that is busy. */
export const IN_TIME = 5000;
/** More bytes than the kernel takes of an answer that nobody reads. */
export const MUCH: number = 4 * 1024 * 1024;

export const hello: Application = (_environ, startResponse) => {
  startResponse('200 OK', PLAIN);
  return 'hello';
};

/** Answers with the size of the body when it has read it, and keeps the codes of failed reads. */
export function reading(codes: unknown[] = []): Application {
  return async (environ, startResponse) => {
    try {
      const body = await environ['wsgi.input'].read();
      startResponse('200 OK', PLAIN);
      return String(body.length);
    } catch (error) {
      codes.push((error as { code?: unknown }).code);
      throw error;
    }
  };
}

/** Sends a piece every 50 ms, until the server has ended the connection or nothing is left. */
export async function trickle(client: RawClient, pieces: readonly string[]): Promise<void> {
  for (const piece of pieces) {
    if (client.ending !== null) return;
    client.socket.write(piece, 'latin1');
    await sleep(50);
  }
}

/** `wait` is over when a short deadline has passed, neither before nor much later. */
export async function expectInTime(wait: Promise<unknown>): Promise<void> {
  const begun = performance.now();
  await bounded(wait, 'the deadline', IN_TIME);
  // The client begins to measure later than the server.
  expect(performance.now() - begun).toBeGreaterThan(SHORT * 1000 - 60);
}

export function untilNoConnections(exchange: Exchange): Promise<void> {
  return eventually(() => exchange.server.reactor.sockets.size === 0, 'no connection is left');
}
