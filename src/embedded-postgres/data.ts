import { execFile } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import * as fs from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { promisify } from 'node:util';
import { UserError } from '../lib/errors.ts';
import { giveTo } from './account.ts';
import { findBinaries } from './binaries.ts';
import type { DataLocation } from './data-directory.ts';
import { exists, failureText, HINT, readIfThere } from './tools.ts';

/** An existing data directory, and what it takes to run it. */
export interface Cluster extends DataLocation {
  bin: string;
  data: string;
  password: string;
}

const SUPERUSER = 'orderfleet';

/**
 * The environment of the children, with nothing of ours: a PGPORT or PGDATA in the user's shell is not meant for us.
 */
export const CHILD_ENV = { PATH: '/usr/local/bin:/usr/bin:/bin', LC_ALL: 'C', TZ: 'UTC' };

const run = promisify(execFile);

/** Creates the password and the data directory unless they exist. `durable`: initdb waits for the disk. */
export async function prepareCluster(location: DataLocation, durable: boolean): Promise<Cluster> {
  const data = path.join(location.home, 'data');
  const made = await exists(path.join(data, 'PG_VERSION'));
  if (!made && location.account === undefined) ensureAccount();
  const bin = await findBinaries(location);
  const cluster = {
    ...location,
    bin,
    data,
    password: await ensurePassword(path.join(location.dir, 'password')),
  };
  if (!made) await initialise(cluster, durable);
  return cluster;
}

export function urlOf({ password }: Cluster, port: number, database: string): string {
  return `postgres://${SUPERUSER}:${password}@127.0.0.1:${port}/${encodeURIComponent(database)}`;
}

async function ensurePassword(file: string): Promise<string> {
  const known = (await readIfThere(file))?.trim();
  if (known !== undefined && known !== '') return known;
  const made = randomBytes(24).toString('base64url');
  await fs.writeFile(`${file}.new`, `${made}\n`, { mode: 0o600 });
  await fs.rename(`${file}.new`, file);
  return made;
}

/**
 * A container may run us as a uid without an account. initdb requires that account's name; a server of existing data
 * does not.
 */
function ensureAccount(): void {
  try {
    os.userInfo();
  } catch {
    throw new UserError(
      `This process runs as user ${process.getuid?.()}, who has no account on this machine, and the embedded Postgres ` +
        'cannot be set up without one: run as a user of /etc/passwd, or set DATABASE_URL.',
    );
  }
}

/** Creates the data directory under another name and renames it, so that a killed initdb leaves no incomplete one. */
async function initialise(cluster: Cluster, durable: boolean): Promise<void> {
  const { dir, home, data, bin, account, password } = cluster;
  if (await exists(data)) {
    throw new UserError(
      `${data} is not a Postgres data directory. Delete ${dir} to start with an empty database.`,
    );
  }
  const draft = path.join(home, 'data.new');
  const passwordFile = path.join(home, 'password.initdb');
  await fs.rm(draft, { recursive: true, force: true });
  await fs.mkdir(draft, { mode: 0o700 });
  await fs.writeFile(passwordFile, password, { mode: 0o600 });
  if (account !== undefined) {
    await giveTo(draft, account);
    await giveTo(passwordFile, account);
  }
  try {
    await run(
      path.join(bin, 'initdb'),
      [
        ...['--pgdata', draft, '--username', SUPERUSER, '--pwfile', passwordFile, '--auth', 'scram-sha-256'],
        // the builtin C.UTF-8 sorts alike on every machine and is still case-aware for ä and Ä
        ...[
          '--encoding',
          'UTF8',
          '--no-locale',
          '--locale-provider',
          'builtin',
          '--builtin-locale',
          'C.UTF-8',
        ],
        ...(durable ? [] : ['--no-sync']),
      ],
      { ...account, cwd: '/', env: CHILD_ENV },
    );
  } catch (cause) {
    throw new UserError(`initdb failed in ${home}: ${failureText(cause)}\n${HINT}`, { cause });
  } finally {
    await fs.rm(passwordFile, { force: true });
  }
  await fs.rename(draft, data);
}
