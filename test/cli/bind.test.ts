import { describe, expect, it } from 'vitest';
import { parseBind } from '../../src/cli/bind.ts';
import { UsageError } from '../../src/cli/usageerror.ts';

describe('parseBind', () => {
  it.each([
    ['127.0.0.1:8000', { kind: 'inet', host: '127.0.0.1', port: 8000 }],
    ['0.0.0.0:0', { kind: 'inet', host: '0.0.0.0', port: 0 }],
    ['localhost:65535', { kind: 'inet', host: '127.0.0.1', port: 65535 }],
    ['LocalHost:80', { kind: 'inet', host: '127.0.0.1', port: 80 }],
    [':8000', { kind: 'inet', host: '', port: 8000 }],
    ['[::1]:8000', { kind: 'inet', host: '::1', port: 8000 }],
    ['[::]:0', { kind: 'inet', host: '::', port: 0 }],
    ['[fe80::1%lo]:80', { kind: 'inet', host: 'fe80::1%lo', port: 80 }],
    ['unix:/run/app.sock', { kind: 'unix', path: '/run/app.sock' }],
    ['unix:app.sock', { kind: 'unix', path: 'app.sock' }],
    ['unix:a:b@c', { kind: 'unix', path: 'a:b@c' }],
    ['unix:@app', { kind: 'unix', path: '\0app' }],
    ['unix:@@app', { kind: 'unix', path: '\0@app' }],
    [`unix:/${'é'.repeat(53)}`, { kind: 'unix', path: `/${'é'.repeat(53)}` }],
    ['fd://3', { kind: 'fd', fd: 3 }],
    ['fd://0', { kind: 'fd', fd: 0 }],
  ])('parses %s', (text, address) => {
    expect(parseBind(text)).toEqual(address);
  });

  it.each([
    ['', /the port is missing; write HOST:PORT, such as 127\.0\.0\.1:8000/],
    ['8000', /is that a port\? Write 127\.0\.0\.1:8000, or :8000 for all interfaces/],
    ['127.0.0.1', /the port is missing; write HOST:PORT, such as 127\.0\.0\.1:8000/],
    ['[::1]', /the port is missing; write HOST:PORT, such as \[::1\]:8000/],
    ['::1', /an IPv6 address needs brackets and a port: \[::1\]:8000/],
    ['::', /needs brackets/],
    ['[127.0.0.1]:80', /\[127\.0\.0\.1\] is no IPv6 address/],
    ['[]:80', /is no IPv6 address/],
    ['fe80::1:zz', /the port after the last colon must be a number/],
    ['1:2:80', /1:2 is no IP address/],
    ['127.0.0.1:', /the port after the last colon must be a number from 0/],
    [':', /must be a number/],
    [':-1', /must be a number/],
    [':+80', /must be a number/],
    [':8e3', /must be a number/],
    [': 80', /must be a number/],
    [':0x50', /must be a number/],
    [':65536', /to 65535/],
    [':99999999999999999999', /to 65535/],
    ['example.com:80', /example\.com is no IP address, and names are not looked up/],
    ['*:80', /:8000 for all interfaces/],
    ['256.0.0.1:80', /256\.0\.0\.1 is no IP address/],
    ['010.0.0.1:80', /010\.0\.0\.1 is no IP address/],
    ['http://127.0.0.1:80', /is no IP address/],
    ['unix:', /a path must follow unix:/],
    ['unix:@', /a path must follow unix:/],
    [`unix:/${'x'.repeat(107)}`, /the path is 108 bytes long and a socket's can have 107/],
    [`unix:${'é'.repeat(54)}`, /the path is 108 bytes long/],
    ['fd://', /the number of an open descriptor must follow fd:\/\/, such as fd:\/\/3/],
    ['fd:3', /such as fd:\/\/3/],
    ['fd://-1', /such as fd:\/\/3/],
    ['fd://three', /such as fd:\/\/3/],
    ['fd://2147483648', /such as fd:\/\/3/],
    ['a\nb:80', /names are not looked up/],
  ])('refuses %j', (text, message) => {
    let refusal: unknown;
    try {
      parseBind(text);
    } catch (error) {
      refusal = error;
    }
    expect(refusal).toBeInstanceOf(UsageError);
    const { code, message: line } = refusal as UsageError;
    expect(code).toBe('ERR_RYEGATE_USAGE');
    expect(line).toMatch(message);
    expect(line).not.toContain('\n');
  });
});
