import { chmod, chown, cp, mkdir, stat } from 'node:fs/promises';
import path from 'node:path';
import { Client } from 'pg';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type EmbeddedPostgres, startEmbeddedPostgres } from '../../src/embedded-postgres/index.ts';
import { freePort, until } from '../support/until.ts';
import {
  type Certificates,
  directory,
  findProgram,
  makeCertificates,
  NOBODY,
  run,
  type Server,
  serve,
} from './support/programs.ts';
import { command, fleetEnv, type Stores, startTrial } from './support/trial.ts';

const openssl = findProgram('openssl', 'Postgres with TLS');
const initdb = findProgram('initdb', 'a Postgres of the machine');
const postgres = findProgram('postgres', 'a Postgres of the machine');
const basebackup = findProgram('pg_basebackup', 'several hosts');

async function ask(url: string, ...statements: string[]): Promise<Record<string, unknown>> {
  const client = new Client({ connectionString: url });
  await client.connect();
  try {
    let row: Record<string, unknown> = {};
    for (const statement of statements) row = (await client.query(statement)).rows[0] ?? {};
    return row;
  } finally {
    await client.end();
  }
}

async function passes(stores: Stores, awbNumber: string): Promise<void> {
  const trial = await startTrial(stores);
  try {
    await trial.goesThrough(awbNumber);
    await trial.doctor();
  } finally {
    await trial.close();
  }
}

describe.skipIf(!openssl)('R12: the embedded Postgres with TLS by a private CA, queues in it', () => {
  let server: EmbeddedPostgres;
  let files: Certificates;
  const at = (database: string, query: string) => {
    const url = new URL(server.url(database));
    url.hostname = 'localhost';
    return `${url.href}?${query}`;
  };

  beforeAll(async () => {
    const dir = await directory();
    server = await startEmbeddedPostgres({ dir: path.join(dir, 'postgres'), settings: { fsync: 'off' } });
    const data = path.join(server.home, 'data');
    const { uid, gid } = await stat(data);
    files = await makeCertificates(dir);
    const key = path.join(data, 'server.key');
    await cp(files.key, key);
    await chmod(key, 0o600);
    await chown(key, uid, gid);
    await cp(files.cert, path.join(data, 'server.crt'));
    await ask(
      server.url('postgres'),
      `alter system set ssl_cert_file = 'server.crt'`,
      `alter system set ssl_key_file = 'server.key'`,
      'alter system set ssl = on',
      'select pg_reload_conf()',
    );
    for (const name of ['verified', 'required', 'environment', 'preferred'])
      await ask(server.url('postgres'), `create database ${name}`);
  });
  afterAll(async () => {
    await server?.stop();
  });

  test('sslmode=verify-full&sslrootcert, with channel_binding, schema and pgbouncer in the address', async () => {
    console.log(await ask(server.url('postgres'), 'show server_version'));
    const url = at(
      'verified',
      `sslmode=verify-full&sslrootcert=${files.ca}&channel_binding=require&schema=public&pgbouncer=true`,
    );
    await passes({ DATABASE_URL: url }, 'FULL1');
    const { plain } = await ask(
      server.url('verified'),
      `select count(*)::int as plain from pg_stat_ssl s join pg_stat_activity a using (pid)
       where not ssl and application_name like 'orderfleet%'`,
    );
    expect(plain).toBe(0);
  });

  test('sslmode=require verifies nothing without a root certificate, as libpq', async () => {
    await passes({ DATABASE_URL: at('required', 'sslmode=require') }, 'REQUIRED1');
  });

  test('PGSSLROOTCERT', async () => {
    await passes({ DATABASE_URL: at('environment', 'sslmode=verify-full'), PGSSLROOTCERT: files.ca }, 'ENV1');
  });

  test('an untrusted certificate is reported in one line that names what to set', async () => {
    const { code, output } = await command(
      ['migrate'],
      fleetEnv({ DATABASE_URL: at('verified', 'sslmode=verify-full') }),
    );
    expect(code).toBe(2);
    expect(output).toMatch(/certificate is not trusted.*sslrootcert in DATABASE_URL, or with PGSSLROOTCERT/);
    expect(output).not.toMatch(/\n\s+at /);
  });
});

describe.skipIf(!initdb || !postgres)('R12: a locally installed Postgres', () => {
  let primary: Server;
  let sockets: string;
  let port: number;
  let data: string;
  const launch = (dir: string, at: number) =>
    serve(
      postgres ?? '',
      [
        '-D',
        dir,
        '-p',
        `${at}`,
        '-k',
        sockets,
        '-c',
        'listen_addresses=127.0.0.1',
        '-c',
        'fsync=off',
        '-c',
        'max_connections=200',
      ],
      () =>
        ask(`postgres://fleet@127.0.0.1:${at}/postgres`, 'select 1').then(
          () => true,
          () => false,
        ),
      NOBODY,
    );

  beforeAll(async () => {
    const dir = await directory();
    sockets = path.join(dir, 's');
    data = path.join(dir, 'primary');
    for (const one of [sockets, data]) {
      await mkdir(one, { mode: 0o700 });
      if (NOBODY.uid) await chown(one, NOBODY.uid, NOBODY.gid);
    }
    await run(initdb ?? '', ['-D', data, '-U', 'fleet', '--auth=trust', '-N'], { ...NOBODY, cwd: '/' });
    port = await freePort();
    primary = await launch(data, port);
  });
  afterAll(async () => {
    await primary?.stop('SIGINT');
  });

  test('a Unix socket', async () => {
    console.log(await ask(`postgres://fleet@127.0.0.1:${port}/postgres`, 'show server_version'));
    await ask(`postgres://fleet@127.0.0.1:${port}/postgres`, 'create database socket');
    await passes({ DATABASE_URL: `postgres://fleet@/socket?host=${sockets}&port=${port}` }, 'SOCKET2');
  });

  test.skipIf(!basebackup)('of several hosts the writable one is used, through a failover', async () => {
    const copy = path.join(path.dirname(data), 'standby');
    await mkdir(copy, { mode: 0o700 });
    if (NOBODY.uid) await chown(copy, NOBODY.uid, NOBODY.gid);
    await ask(`postgres://fleet@127.0.0.1:${port}/postgres`, 'create database hosts');
    await run(
      basebackup ?? '',
      ['-D', copy, '-R', '-d', `postgres://fleet@127.0.0.1:${port}/postgres`, '-c', 'fast'],
      {
        ...NOBODY,
        cwd: '/',
      },
    );
    const other = await freePort();
    const standby = await launch(copy, other);
    const trial = await startTrial({
      DATABASE_URL: `postgres://fleet@127.0.0.1:${other},127.0.0.1:${port}/hosts?sslmode=disable`,
    });
    try {
      await trial.goesThrough('HOSTS1');
      await until(async () => {
        const { left } = await ask(
          `postgres://fleet@127.0.0.1:${port}/postgres`,
          `select (pg_current_wal_lsn() - replay_lsn)::int as left from pg_stat_replication`,
        );
        return left === 0;
      });
      await primary.stop('SIGINT');
      await ask(`postgres://fleet@127.0.0.1:${other}/postgres`, 'select pg_promote()');
      await trial.goesThrough('HOSTS2');
      await trial.doctor();
    } finally {
      await trial.close();
      await standby.stop('SIGINT');
    }
  });
});
