import { describe, expect, it } from 'vitest';
import { dropPrivileges, type Privileges, resolveGroup, resolveUser } from '../../src/index.ts';
import { runScript } from '../support/servers.ts';

const isRoot = process.getuid?.() === 0;
if (!isRoot) console.warn('not run as root: the tests that give up its rights are skipped');

const refused = expect.objectContaining({ code: 'ERR_RYEGATE_PRIVILEGES' });

/** What a process has that began as root, in some groups, and made `script` of `ids` and `attempt`. */
async function asRoot(script: string): Promise<unknown> {
  const said = await runScript(`
    const { dropPrivileges, resolveUser } = await import(process.argv[1]);
    const { readFileSync } = await import('node:fs');
    process.setgroups([0, 1, 2, 3]);
    process.umask(0o022);
    const ids = () => {
      const status = readFileSync('/proc/self/status', 'utf8');
      const of = (name) => new RegExp('^' + name + ':\\\\s+(.*?)\\\\s*$', 'm').exec(status)[1];
      const several = (name) => of(name).split(/\\s+/).map(Number);
      return {
        uid: several('Uid'), gid: several('Gid'), groups: several('Groups'), umask: of('Umask'),
      };
    };
    const attempt = (action) => {
      try { action(); return 'no error'; } catch (error) { return error.code; }
    };
    console.log(JSON.stringify(${script}));`);
  return JSON.parse(said);
}

const four = (id: number): number[] => [id, id, id, id];

describe('resolveUser(), resolveGroup()', () => {
  it('find names and numbers', () => {
    const root = { name: 'root', uid: 0, gid: 0 };
    expect(resolveUser('root')).toEqual(root);
    expect(resolveUser(0)).toEqual(root);
    expect(resolveUser('0')).toEqual(root);
    expect(resolveUser(4_000_000_000)).toEqual({ name: null, uid: 4_000_000_000, gid: null });
    expect(resolveGroup(0)).toEqual(resolveGroup('0'));
    expect(resolveGroup(0).gid).toBe(0);
    expect(resolveGroup('4000000000')).toEqual({ name: null, gid: 4_000_000_000 });
  });

  it.each(['no-such-name', '', 'root\0', '-1', '1.5', '4294967295', '0x0'])('refuse %j', (name) => {
    expect(() => resolveUser(name)).toThrow(refused);
    expect(() => resolveGroup(name)).toThrow(refused);
    expect(() => resolveUser(name)).toThrow('`getent passwd` lists');
  });

  it.each([-1, 1.5, Number.NaN, 2 ** 32 - 1, null, {}])('refuse %j as an option', (value) => {
    const error = expect.objectContaining({ code: 'ERR_RYEGATE_OPTION' });
    expect(() => resolveUser(value as number)).toThrow(error);
    expect(() => resolveGroup(value as number)).toThrow(error);
  });
});

describe('dropPrivileges() refuses, and changes nothing,', () => {
  const mask = process.umask();

  it.each<[Privileges, string]>([
    [{ user: 'no-such-name', umask: 0o077 }, 'ERR_RYEGATE_PRIVILEGES'],
    [{ group: 'no-such-name', umask: 0o077 }, 'ERR_RYEGATE_PRIVILEGES'],
    [{ user: 4_000_000_000, umask: 0o077 }, 'ERR_RYEGATE_PRIVILEGES'],
    [{ umask: 0o1000 }, 'ERR_RYEGATE_OPTION'],
    [{ umask: '077' as unknown as number }, 'ERR_RYEGATE_OPTION'],
    [{ umask: 0o077, initgroups: 'yes' as unknown as boolean }, 'ERR_RYEGATE_OPTION'],
  ])('%j', (privileges, code) => {
    expect(() => dropPrivileges(privileges)).toThrow(expect.objectContaining({ code }));
    expect(process.umask()).toBe(mask);
  });
});

it('is nothing to do for the user and group that the process has', () => {
  const uid = process.getuid?.() as number;
  const gid = process.getgid?.() as number;
  const groups = process.getgroups?.();
  dropPrivileges({});
  dropPrivileges({ user: uid, group: gid });
  expect(process.getgroups?.()).toEqual(groups);
});

describe.skipIf(!isRoot)('root becomes', () => {
  it('another user, with its groups and no others, for good', async () => {
    const { uid, gid } = resolveUser('nobody');
    expect(
      await asRoot(`[
        dropPrivileges({ user: 'nobody', umask: 0o027 }), ids(),
        attempt(() => process.setuid(0)), attempt(() => process.seteuid(0)),
      ]`),
    ).toEqual([
      null,
      { uid: four(uid), gid: four(gid as number), groups: [gid], umask: '0027' },
      'EPERM',
      'EPERM',
    ]);
  });

  it('another user of another group, by numbers, one without an entry too', async () => {
    const expected = { uid: four(54321), gid: four(54322), groups: [54322], umask: '0022' };
    expect(await asRoot(`[dropPrivileges({ user: 54321, group: '54322' }), ids()][1]`)).toEqual(
      expected,
    );
  });

  it('one with the group alone, without initgroups', async () => {
    const { uid } = resolveUser('nobody');
    expect(
      await asRoot(
        `[dropPrivileges({ user: 'nobody', group: 'daemon', initgroups: false }), ids()][1]`,
      ),
    ).toMatchObject({ uid: four(uid), gid: four(1), groups: [1] });
  });

  it('a member of another group, and stays root', async () => {
    expect(await asRoot(`[dropPrivileges({ group: 'daemon' }), ids()][1]`)).toMatchObject({
      uid: four(0),
      gid: four(1),
      groups: [1],
    });
  });

  it('another user once: that one lacks the rights for a third', async () => {
    expect(
      await asRoot(`[
        dropPrivileges({ user: 'nobody' }),
        attempt(() => dropPrivileges({ user: 'daemon' })),
        attempt(() => dropPrivileges({ group: 'daemon' })),
        attempt(() => dropPrivileges({ user: 'nobody' })),
        ids().uid,
      ]`),
    ).toEqual([
      null,
      'ERR_RYEGATE_PRIVILEGES',
      'ERR_RYEGATE_PRIVILEGES',
      'no error',
      four(resolveUser('nobody').uid),
    ]);
  });

  it('no other user in a process that can become root again', async () => {
    // The saved user is root's still.
    expect(
      await asRoot(`[
        process.seteuid(65534),
        attempt(() => dropPrivileges({ umask: 0o077 })),
        attempt(() => dropPrivileges({ user: 65534, group: 0 })),
      ]`),
    ).toEqual([null, 'no error', 'ERR_RYEGATE_PRIVILEGES']);
  });
});
