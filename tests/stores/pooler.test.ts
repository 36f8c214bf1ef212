import { chmod, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { Client } from 'pg';
import { describe, expect, test } from 'vitest';
import { poolingOf } from '../../src/db/pooler.ts';
import { createEmptyDatabase } from '../support/database.ts';
import { startProcess } from '../support/process.ts';
import { freePort } from '../support/until.ts';
import { directory, findProgram, NOBODY, run, serve } from './support/programs.ts';
import { command, fleetEnv, startTrial } from './support/trial.ts';

const program = findProgram('pgbouncer', 'PgBouncer');

interface Bounced {
  url: string;
  close(): Promise<void>;
}

/** A PgBouncer before a database of its own in the run's embedded Postgres. */
async function bounce(mode: string, settings: Record<string, string> = {}): Promise<Bounced> {
  const database = await createEmptyDatabase();
  const target = new URL(database.url);
  const name = target.pathname.slice(1);
  const dir = await directory();
  const port = await freePort();
  const ini = {
    ...{ listen_addr: '127.0.0.1', listen_port: port, unix_socket_dir: '', auth_type: 'any' },
    ...{ pool_mode: mode, default_pool_size: 80, max_client_conn: 500, ...settings },
  };
  const login = `host=127.0.0.1 port=${target.port} dbname=${name} user=${target.username} password=${target.password}`;
  const file = path.join(dir, 'pgbouncer.ini');
  const lines = Object.entries(ini).map(([key, value]) => `${key} = ${value}`);
  await writeFile(file, ['[databases]', `${name} = ${login}`, '[pgbouncer]', ...lines, ''].join('\n'));
  await chmod(file, 0o644);
  const url = `postgres://fleet:any@127.0.0.1:${port}/${name}`;
  const server = await serve(program ?? '', [file], () => answers(url), NOBODY);
  return {
    url,
    async close() {
      await server.stop();
      await database.drop();
    },
  };
}

async function answers(url: string): Promise<boolean> {
  const client = new Client({ connectionString: url });
  client.on('error', () => {});
  try {
    await client.connect();
    return true;
  } catch {
    return false;
  } finally {
    await client.end();
  }
}

describe.skipIf(!program)('R12: PgBouncer', () => {
  test.each<[string, Record<string, string>]>([
    ['as it comes: settings at the start of a session are refused', {}],
    ['that drops them', { ignore_startup_parameters: 'options,extra_float_digits,search_path' }],
  ])('whole sessions, %s: the queues live in Postgres', async (_what, settings) => {
    console.log((await run(program ?? '', ['--version'])).stdout.split('\n')[0]);
    const bounced = await bounce('session', settings);
    expect(await poolingOf(bounced.url)).toBe('session');
    const trial = await startTrial({ DATABASE_URL: bounced.url });
    try {
      await trial.goesThrough('BOUNCED1');
      await trial.doctor();
    } finally {
      await trial.close();
      await bounced.close();
    }
  });

  test.each(['transaction', 'statement'])('pool_mode = %s is refused in one line, at once', async (mode) => {
    const bounced = await bounce(mode);
    try {
      for (let turn = 0; turn < 10; turn++) expect(await poolingOf(bounced.url)).toBe('transaction');
      const env = fleetEnv({ DATABASE_URL: bounced.url });
      const line = /DATABASE_URL uses a pooler in transaction or statement mode.*pool_mode = session/;
      for (const args of [['migrate'], ['doctor']]) {
        const { code, output } = await command(args, env);
        if (args[0] === 'migrate') expect(output.trim()).toMatch(new RegExp(`^${line.source}.*$`));
        else expect(output).toMatch(/DATABASE_URL uses a pooler/);
        expect(code).toBe(args[0] === 'migrate' ? 2 : 1);
      }
      const worker = startProcess('workers/awb.ts', { env });
      expect(await worker.exited).toMatchObject({ code: 2 });
      expect(worker.output().trim()).toMatch(new RegExp(`^${line.source}.*$`));
    } finally {
      await bounced.close();
    }
  });

  test('an option of DATABASE_URL that it refuses is named', async () => {
    const bounced = await bounce('session');
    try {
      const { code, output } = await command(
        ['migrate'],
        fleetEnv({ DATABASE_URL: `${bounced.url}?options=-cwork_mem%3D8MB` }),
      );
      expect(code).toBe(2);
      expect(output).toMatch(/DATABASE_URL.*options/);
      expect(output).not.toMatch(/\n\s+at /);
    } finally {
      await bounced.close();
    }
  });
});
