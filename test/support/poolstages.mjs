// A thread module whose stages wait for files of the folder `data`, for twenty seconds at most: it is
// loaded when `load` is there, and closed when `close` is. It makes `loading` when it begins.
import { existsSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { app } from './poolapp.mjs';

export async function startThread({ data }) {
  const until = async (name) => {
    for (let i = 0; i < 4000 && !existsSync(join(data, name)); i++) await sleep(5);
  };
  writeFileSync(join(data, 'loading'), '');
  await until('load');
  return { application: app, close: () => until('close') };
}
