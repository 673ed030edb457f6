import { cpus, release, totalmem, type } from 'node:os';
import { processors } from './processes.ts';
import type { Machine } from './results.ts';

export function describeMachine(): Machine {
  const all = cpus();
  return {
    processor: all[0]?.model.trim() ?? 'unknown',
    processors: all.length,
    memory: totalmem(),
    system: `${type()} ${release()}`,
    node: process.versions.node,
    pinned: processors !== null,
  };
}
