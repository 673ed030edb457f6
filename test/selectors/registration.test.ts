import { expect, it } from 'vitest';
import { EVENT_READ, EVENT_WRITE } from '../../src/selectors/index.ts';
import { codeOf, describeBackends, errorOf, selectorMaker } from '../support/backends.ts';
import { descriptorKeeper } from '../support/descriptors.ts';

const BOTH = EVENT_READ | EVENT_WRITE;

/** A file object whose descriptor a test can take away. */
class Handle {
  fd: number;

  constructor(fd: number) {
    this.fd = fd;
  }

  fileno(): number {
    return this.fd;
  }
}

describeBackends('registration', (name) => {
  const makeSelector = selectorMaker(name);
  const descriptors = descriptorKeeper();

  it('gives a key of the file object, its descriptor, the events and the data', () => {
    const selector = makeSelector();
    const { reader } = descriptors.pipe();
    const data = { any: 'value' };
    const key = selector.register(reader, EVENT_READ, data);
    expect({ ...key }).toEqual({ fileobj: reader, fd: reader, events: EVENT_READ, data });
    expect(key.data).toBe(data);
    expect(selector.getKey(reader)).toBe(key);
  });

  it('attaches null when no data is given', () => {
    const selector = makeSelector();
    const { reader } = descriptors.pipe();
    expect(selector.register(reader, EVENT_READ).data).toBeNull();
  });

  it('takes an object with fileno() and keeps the object', () => {
    const selector = makeSelector();
    const handle = new Handle(descriptors.pipe().reader);
    const key = selector.register(handle, EVENT_READ);
    expect(key.fileobj).toBe(handle);
    expect(key.fd).toBe(handle.fd);
    expect(selector.getKey(handle)).toBe(key);
    expect(selector.getKey(handle.fd)).toBe(key);
  });

  it.each([EVENT_READ, EVENT_WRITE, BOTH])('takes events %i', (events) => {
    const selector = makeSelector();
    const [end] = descriptors.socketPair();
    expect(selector.register(end, events).events).toBe(events);
  });

  it.each([0, 4, 5, -1, 1.5, Number.NaN])('refuses events %d', (events) => {
    const selector = makeSelector();
    const { reader } = descriptors.pipe();
    expect(codeOf(() => selector.register(reader, events))).toBe('ERR_RYEGATE_INVALID_EVENTS');
    selector.register(reader, EVENT_READ);
    expect(codeOf(() => selector.modify(reader, events))).toBe('ERR_RYEGATE_INVALID_EVENTS');
    expect(selector.getKey(reader).events).toBe(EVENT_READ);
  });

  it.each([
    ['a negative descriptor', -1],
    ['a fraction', 1.5],
    ['NaN', Number.NaN],
    ['more than an int holds', 2 ** 31],
    ['a number that would wrap around to 1', 2 ** 32 + 1],
    ['null', null],
    ['undefined', undefined],
    ['a string', '1'],
    ['an object without fileno()', {}],
    ['a fileno() that gives -1', { fileno: () => -1 }],
    ['a fileno() that gives a string', { fileno: () => '1' }],
  ])('refuses %s as a file object', (_, fileobj) => {
    const selector = makeSelector();
    const register = () => selector.register(fileobj as number, EVENT_READ);
    expect(codeOf(register)).toBe('ERR_RYEGATE_INVALID_FD');
    expect(selector.getMap()?.size).toBe(0);
  });

  it('passes on what fileno() throws while registering', () => {
    const failure = new Error('closed');
    const fileobj = {
      fileno: () => {
        throw failure;
      },
    };
    expect(errorOf(() => makeSelector().register(fileobj, EVENT_READ))).toBe(failure);
  });

  it('refuses a descriptor that is registered already, and keeps the first key', () => {
    const selector = makeSelector();
    const { reader } = descriptors.pipe();
    const key = selector.register(reader, EVENT_READ, 'first');
    for (const again of [reader, new Handle(reader)]) {
      const register = () => selector.register(again, EVENT_WRITE, 'second');
      expect(codeOf(register)).toBe('ERR_RYEGATE_ALREADY_REGISTERED');
    }
    expect(selector.getKey(reader)).toBe(key);
  });

  it('gives the key back on unregister, and the descriptor can be registered again', () => {
    const selector = makeSelector();
    const { reader } = descriptors.pipe();
    const key = selector.register(reader, EVENT_READ);
    expect(selector.unregister(reader)).toBe(key);
    expect(selector.getMap()?.has(reader)).toBe(false);
    expect(selector.register(reader, EVENT_READ)).not.toBe(key);
  });

  it('knows nothing of a descriptor that is not registered', () => {
    const selector = makeSelector();
    const { reader } = descriptors.pipe();
    const code = 'ERR_RYEGATE_NOT_REGISTERED';
    for (const unknown of [reader, new Handle(reader), new Handle(-1)]) {
      expect(codeOf(() => selector.unregister(unknown))).toBe(code);
      expect(codeOf(() => selector.modify(unknown, EVENT_READ))).toBe(code);
      expect(codeOf(() => selector.getKey(unknown))).toBe(code);
    }
    selector.register(reader, EVENT_READ);
    selector.unregister(reader);
    expect(codeOf(() => selector.unregister(reader))).toBe(code);
  });

  it('finds by identity an object whose fileno() fails since it was closed', () => {
    const selector = makeSelector();
    const gone = new Handle(descriptors.pipe().reader);
    const throwing = new Handle(descriptors.pipe().reader);
    const keys = [gone, throwing].map((handle) => selector.register(handle, EVENT_READ));
    descriptors.close(gone.fd);
    descriptors.close(throwing.fd);
    gone.fd = -1;
    throwing.fileno = () => {
      throw new Error('closed');
    };
    expect([gone, throwing].map((handle) => selector.getKey(handle))).toEqual(keys);
    expect([gone, throwing].map((handle) => selector.unregister(handle))).toEqual(keys);
    expect(selector.getMap()?.size).toBe(0);
  });

  it('unregisters a descriptor that was closed first', () => {
    const selector = makeSelector();
    const { reader } = descriptors.pipe();
    const key = selector.register(reader, EVENT_READ);
    descriptors.close(reader);
    expect(selector.unregister(reader)).toBe(key);
    expect(selector.select(0)).toEqual([]);
  });

  it('modifies events and data in a new key of the same file object', () => {
    const selector = makeSelector();
    const handle = new Handle(descriptors.socketPair()[0]);
    const before = selector.register(handle, EVENT_READ, 'old');
    expect(selector.select(0)).toEqual([]);
    const after = selector.modify(handle.fd, EVENT_WRITE, 'new');
    expect({ ...after }).toEqual({
      fileobj: handle,
      fd: handle.fd,
      events: EVENT_WRITE,
      data: 'new',
    });
    expect(before.events).toBe(EVENT_READ);
    expect(selector.getKey(handle)).toBe(after);
    expect(selector.select(0)).toEqual([[after, EVENT_WRITE]]);
  });

  it('modifies data alone, and drops the data when none is given', () => {
    const selector = makeSelector();
    const [end] = descriptors.socketPair();
    selector.register(end, EVENT_WRITE, 'old');
    expect(selector.modify(end, EVENT_WRITE, 'new').data).toBe('new');
    expect(selector.select(0).map(([key, events]) => [key.data, events])).toEqual([
      ['new', EVENT_WRITE],
    ]);
    expect(selector.modify(end, EVENT_WRITE).data).toBeNull();
  });

  it('modifies data alone without asking the system', () => {
    const selector = makeSelector();
    const { reader } = descriptors.pipe();
    selector.register(reader, EVENT_READ);
    descriptors.close(reader);
    expect(selector.modify(reader, EVENT_READ, 'late').data).toBe('late');
  });

  it('shows what is registered in a live map', () => {
    const selector = makeSelector();
    const map = selector.getMap();
    const { reader, writer } = descriptors.pipe();
    expect(map?.size).toBe(0);
    const handle = new Handle(writer);
    const keys = [selector.register(reader, EVENT_READ), selector.register(handle, EVENT_WRITE)];
    expect(map?.size).toBe(2);
    expect(new Set(map?.values())).toEqual(new Set(keys));
    expect(new Set(map?.keys())).toEqual(new Set([reader, handle]));
    expect(new Map(map as Iterable<[unknown, unknown]>)).toEqual(
      new Map(keys.map((key) => [key.fileobj, key])),
    );
    const visited: unknown[] = [];
    map?.forEach((key, fileobj, owner) => {
      visited.push(key.fileobj === fileobj, owner === map);
    });
    expect(visited).toEqual([true, true, true, true]);
    selector.unregister(reader);
    expect([...(map?.keys() ?? [])]).toEqual([handle]);
  });

  it('looks up in the map by descriptor, by object and by an object of equal descriptor', () => {
    const selector = makeSelector();
    const handle = new Handle(descriptors.pipe().reader);
    const key = selector.register(handle, EVENT_READ);
    const map = selector.getMap();
    expect([map?.get(handle), map?.get(handle.fd)]).toEqual([key, key]);
    expect(map?.get(new Handle(handle.fd))).toBe(key);
    expect([map?.has(handle), map?.has(handle.fd)]).toEqual([true, true]);
    const other = descriptors.pipe().reader;
    expect([map?.get(other), map?.has(other)]).toEqual([undefined, false]);
    expect([map?.get(-1), map?.has(-1)]).toEqual([undefined, false]);
  });
});
