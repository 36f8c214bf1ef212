import { userInfo } from 'node:os';
import { describe, expect, test } from 'vitest';
import { type DatabaseAddress, parseDatabaseUrl } from '../../src/addresses/database.ts';
import { AddressError } from '../../src/addresses/parts.ts';

const partOf = (url: string) => {
  const { hosts, user, password, database } = parseDatabaseUrl(url);
  return { hosts: hosts.map(({ host, port }) => `${host} ${port}`).join(' '), user, password, database };
};
const tlsOf = (query: string): DatabaseAddress['tls'] => parseDatabaseUrl(`postgres://u:p@h/d${query}`).tls;
const refusal = (url: string): string => {
  try {
    parseDatabaseUrl(url);
  } catch (error) {
    expect(error).toBeInstanceOf(AddressError);
    return (error as Error).message;
  }
  throw new Error(`${url} was taken`);
};

describe('R12: who and where DATABASE_URL names', () => {
  test.each<[string, string, string | undefined, string | undefined, string]>([
    ['postgres://u:p@h:5433/d', 'h 5433', 'u', 'p', 'd'],
    ['postgresql://u:p@h/d', 'h 5432', 'u', 'p', 'd'],
    ['postgres://u@h', 'h 5432', 'u', undefined, 'u'],
    ['postgres://h/d', 'h 5432', userInfo().username, undefined, 'd'],
    // sockets: Debian's, Google Cloud SQL's, an encoded host
    [
      'postgres:///d?host=/var/run/postgresql',
      '/var/run/postgresql 5432',
      userInfo().username,
      undefined,
      'd',
    ],
    [
      'postgres://u:p@/d?host=/cloudsql/project:region:name',
      '/cloudsql/project:region:name 5432',
      'u',
      'p',
      'd',
    ],
    ['postgres://u:p@%2Frun%2Fpg:5433/d', '/run/pg 5433', 'u', 'p', 'd'],
    // IPv6, several hosts
    ['postgres://u:p@[::1]:5433/d', '::1 5433', 'u', 'p', 'd'],
    ['postgres://u:p@h1:5433,[fe80::1],h3/d', 'h1 5433 fe80::1 5432 h3 5432', 'u', 'p', 'd'],
    ['postgres:///d?host=h1,h2&port=1,2&user=u&password=p', 'h1 1 h2 2', 'u', 'p', 'd'],
    // passwords with signs, escaped and not
    ['postgres://u:p%40%2F%3A%23%3F%25@h/d', 'h 5432', 'u', 'p@/:#?%', 'd'],
    ['postgres://u:p@ss@h/d', 'h 5432', 'u', 'p@ss', 'd'],
    ['postgres://u:a/b@h:1/d', 'h 1', 'u', 'a/b', 'd'],
    ['postgres://u:1/2@h:1/d', 'h 1', 'u', '1/2', 'd'],
    ['postgres://u:a#b@h/d', 'h 5432', 'u', 'a#b', 'd'],
    ['postgres://u:a?b=c@h/d', 'h 5432', 'u', 'a?b=c', 'd'],
    ['postgres://u:a:b%c@h/d', 'h 5432', 'u', 'a:b%c', 'd'],
    ['postgres://u:100%@h/d', 'h 5432', 'u', '100%', 'd'],
    ['postgres://u%40x:p@h/d?application_name=a@b', 'h 5432', 'u@x', 'p', 'd'],
    ['postgres://u:p@h/d%20e', 'h 5432', 'u', 'p', 'd e'],
  ])('%s', (url, hosts, user, password, database) => {
    expect(partOf(url)).toEqual({ hosts, user, password, database });
  });
});

describe('R12: sslmode means what it means to libpq', () => {
  test.each<[string, DatabaseAddress['tls']['use'], DatabaseAddress['tls']['verify']]>([
    ['', 'prefer', 'nothing'],
    ['?sslmode=disable', 'never', 'nothing'],
    ['?sslmode=allow', 'prefer', 'nothing'],
    ['?sslmode=prefer', 'prefer', 'nothing'],
    ['?sslmode=require', 'always', 'nothing'],
    ['?sslmode=no-verify', 'always', 'nothing'],
    ['?sslmode=require&sslrootcert=/ca', 'always', 'signer'],
    ['?sslmode=verify-ca&sslrootcert=/ca', 'always', 'signer'],
    ['?sslmode=verify-full', 'always', 'signer and host'],
    ['?sslrootcert=system', 'always', 'signer and host'],
    ['?ssl=true', 'always', 'nothing'],
    ['?ssl=false', 'never', 'nothing'],
    ['?sslmode=require&sslaccept=strict', 'always', 'nothing'],
    ['?sslaccept=strict', 'always', 'signer and host'],
    ['?sslnegotiation=direct', 'always', 'nothing'],
    // Neon's own string; the drivers cannot bind the channel
    ['?sslmode=require&channel_binding=require', 'always', 'signer and host'],
    ['?channel_binding=prefer', 'prefer', 'nothing'],
  ])('%s', (query, use, verify) => {
    expect(tlsOf(query)).toMatchObject({ use, verify });
  });

  test('certificates are files; system is what Node trusts', () => {
    expect(tlsOf('?sslmode=verify-full&sslrootcert=/ca').files).toEqual({ ca: '/ca' });
    expect(tlsOf('?sslmode=verify-full&sslrootcert=system').files).toEqual({});
    expect(tlsOf('?sslcert=/c&sslkey=/k&sslpassword=s')).toMatchObject({
      files: { cert: '/c', key: '/k' },
      passphrase: 's',
    });
  });
});

test('R12: what providers add is honoured where it means something and ignored where it is harmless', () => {
  const of = (query: string) => parseDatabaseUrl(`postgres://u:p@h/d?${query}`);
  const plain = of('');
  expect(of('schema=public&pgbouncer=true&connection_limit=1&pool_timeout=0&sslsni=1&keepalives=1')).toEqual(
    plain,
  );
  expect(of('currentSchema=my%22one').startup).toEqual({ search_path: '"my""one"' });
  expect(of('search_path=a,public').startup).toEqual({ search_path: 'a,public' });
  expect(of('options=endpoint%3Dep-cool-1').startup).toEqual({ options: 'endpoint=ep-cool-1' });
  expect(of('application_name=shop').applicationName).toBe('shop');
  expect(of('connect_timeout=3').connectTimeoutMs).toBe(3_000);
  expect(plain).toMatchObject({ wanted: 'any', connectTimeoutMs: 10_000, applicationName: 'orderfleet' });
  expect(of('target_session_attrs=primary').wanted).toBe('primary');
  expect(parseDatabaseUrl('postgres://a,b/d').wanted).toBe('read-write');
});

test.each([
  ['mysql://u:secret@h/d', 'a URL starting with postgres:// or postgresql://'],
  ['postgres://u:secret@ho st/d', 'as in postgres://user:password@host:5432/database'],
  [
    'postgres://u:secret@h/d?sslmode=on',
    'its sslmode to be one of disable, allow, prefer, require, verify-ca, verify-full',
  ],
  ['postgres://u:secret@h/d?statement_timeout=5', 'no parameter "statement_timeout"'],
  ['postgres://u:secret@h/d?sslcrl=/x', 'no parameter "sslcrl"'],
  [
    'postgres://u:secret@h/d?target_session_attrs=standby',
    'target_session_attrs to be one of any, read-write, primary',
  ],
  [
    'postgres://u:secret@h/d?sslmode=disable&channel_binding=require',
    'either sslmode=disable or channel_binding',
  ],
  ['postgres://u:secret@h:99999/d', 'ports to be numbers'],
  ['postgres://u:secret@h/d?connect_timeout=soon', 'connect_timeout to be a whole number of seconds'],
])('O7: %s is refused in one line without the password', (url, why) => {
  const says = refusal(url);
  expect(says).toContain(why);
  expect(says).not.toMatch(/secret|\n/);
});
