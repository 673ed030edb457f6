import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { FileWrapper, openFile } from '../../src/index.ts';

const folder = mkdtempSync(join(tmpdir(), 'ryegate-openfile-'));
const path = join(folder, 'file');
writeFileSync(path, 'contents');
afterAll(() => rmSync(folder, { recursive: true }));

describe('openFile()', () => {
  it('stays open for as long as it has users', async () => {
    const file = await openFile(path);
    const { fd } = file;
    file.retain();
    file.close();
    expect(file.fd).toBe(fd);
    file.close();
    expect(file.fd).toBe(-1);
  });

  it('stands for no other file when it has been closed', async () => {
    const file = await openFile(path);
    const wrapper = new FileWrapper(file);
    expect(wrapper.parts()).toMatchObject([{ position: 0, count: 8 }]);
    wrapper.close();
    // Its number is this one's now.
    const other = await openFile(path);
    expect(() => wrapper.parts()).toThrow(expect.objectContaining({ code: 'ERR_RYEGATE_FILE' }));
    other.close();
  });

  it('refuses a folder', async () => {
    await expect(openFile(folder)).rejects.toMatchObject({ code: 'ERR_RYEGATE_FILE' });
  });
});
