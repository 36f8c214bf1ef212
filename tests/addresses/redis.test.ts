import { expect, test } from 'vitest';
import { AddressError } from '../../src/addresses/parts.ts';
import { parseRedisUrl } from '../../src/addresses/redis.ts';

const node = (host: string, port: number) => ({ host, port });

test.each<[string, object]>([
  ['redis://h', { kind: 'single', nodes: [node('h', 6379)], database: 0 }],
  ['redis://h:1/7', { kind: 'single', nodes: [node('h', 1)], database: 7 }],
  ['redis://h:1?db=7', { kind: 'single', nodes: [node('h', 1)], database: 7 }],
  ['redis://[::1]:1', { kind: 'single', nodes: [node('::1', 1)], database: 0 }],
  ['redis://h?family=0', { kind: 'single', nodes: [node('h', 6379)], database: 0, family: 0 }],
  ['valkey://h', { kind: 'single', nodes: [node('h', 6379)], database: 0 }],
  // users and passwords, escaped and not
  ['redis://:p%40s@h', { kind: 'single', nodes: [node('h', 6379)], database: 0, password: 'p@s' }],
  [
    'redis://u:p@s/s#s@h:1/2',
    { kind: 'single', nodes: [node('h', 1)], database: 2, user: 'u', password: 'p@s/s#s' },
  ],
  ['redis://u:p?q@h', { kind: 'single', nodes: [node('h', 6379)], database: 0, user: 'u', password: 'p?q' }],
  // sockets
  ['unix:///run/redis.sock?db=3', { kind: 'single', nodes: [], path: '/run/redis.sock', database: 3 }],
  [
    'redis+unix://u:p@/run/r.sock',
    { kind: 'single', nodes: [], path: '/run/r.sock', database: 0, user: 'u', password: 'p' },
  ],
  // TLS
  [
    'rediss://h',
    { kind: 'single', nodes: [node('h', 6379)], database: 0, tls: { files: {}, verify: 'signer and host' } },
  ],
  [
    'rediss://h?ssl_ca_certs=/ca&ssl_certfile=/c&ssl_keyfile=/k&ssl_check_hostname=false',
    {
      kind: 'single',
      nodes: [node('h', 6379)],
      database: 0,
      tls: { files: { ca: '/ca', cert: '/c', key: '/k' }, verify: 'signer' },
    },
  ],
  // Heroku's, whose certificates are self-signed
  [
    'rediss://h?ssl_cert_reqs=CERT_NONE',
    { kind: 'single', nodes: [node('h', 6379)], database: 0, tls: { files: {}, verify: 'nothing' } },
  ],
  // Sentinels
  [
    'redis+sentinel://u:p@h1,h2:2/mymaster/4?sentinelPassword=s',
    {
      kind: 'sentinel',
      nodes: [node('h1', 26_379), node('h2', 2)],
      primary: 'mymaster',
      database: 4,
      user: 'u',
      password: 'p',
      sentinelPassword: 's',
    },
  ],
  // clusters
  ['redis://h1:7000,h2:7001', { kind: 'cluster', nodes: [node('h1', 7000), node('h2', 7001)], database: 0 }],
  ['redis+cluster://h1:7000', { kind: 'cluster', nodes: [node('h1', 7000)], database: 0 }],
])('R12: %s', (url, address) => {
  expect(parseRedisUrl(url)).toEqual(address);
});

test.each([
  ['http://u:secret@h', 'a URL starting with redis:// or rediss://'],
  ['redis://u:secret@ho st', 'as in redis://user:password@host:6379/0'],
  ['redis://u:secret@h/one', 'its database to be a number'],
  ['redis://u:secret@h/1/2', 'as in redis://user:password@host:6379/0'],
  ['redis+sentinel://u:secret@h', 'the name that the Sentinels have for the primary'],
  ['redis+cluster://u:secret@h/1', 'database 0, or none'],
  ['redis://u:secret@h?colour=red', 'no parameter "colour"'],
  ['rediss://u:secret@h?ssl_cert_reqs=never', 'ssl_cert_reqs to be one of none, optional, required'],
  ['redis://u:secret@h:99999', 'its ports to be numbers'],
])('O7: %s is refused in one line without the password', (url, why) => {
  expect(() => parseRedisUrl(url)).toThrow(AddressError);
  try {
    parseRedisUrl(url);
  } catch (error) {
    expect((error as Error).message).toContain(why);
    expect((error as Error).message).not.toMatch(/secret|\n/);
  }
});
