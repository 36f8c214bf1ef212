import { createHash } from 'node:crypto';
import * as fs from 'node:fs/promises';
import path from 'node:path';
import { UserError } from '../lib/errors.ts';
import { type Account, firstClosed, ownerOf, unprivilegedAccount } from './account.ts';
import { readPostmaster, stopPostmaster } from './postmaster.ts';
import { exists, readIfThere } from './tools.ts';

/** Where root's data goes when Postgres cannot enter the chosen directory. */
const ELSEWHERE = '/var/lib/orderfleet';

export interface DataLocation {
  /** The directory that the caller chose. */
  dir: string;
  /** Where the data and a copy of the binaries are: `dir`, or elsewhere if Postgres could not enter it. */
  home: string;
  account: Account | undefined;
}

/** By number: a container may run as a uid without an account, for which os.userInfo() fails. */
const isRoot = () => process.getuid?.() === 0;

/** Creates the directory if it is missing, and returns its real path. */
export async function makeDir(wanted: string): Promise<string> {
  // as root, others may enter (not list) it: Postgres runs as another account. Everything below is private
  const mode = isRoot() ? 0o711 : 0o700;
  const made = await fs.mkdir(wanted, { recursive: true, mode });
  if (made !== undefined) await fs.chmod(wanted, mode);
  return await fs.realpath(wanted);
}

/** Everybody but root keeps everything in `dir` and runs Postgres as themselves. */
export async function locateData(dir: string): Promise<DataLocation> {
  return isRoot() ? await locateForRoot(dir) : { dir, home: dir, account: undefined };
}

/**
 * Postgres refuses to run as root. It then runs as the owner of the data, else as `postgres` or `nobody`; if that
 * account cannot enter `dir`, the data is in ELSEWHERE and `dir/data-path` points there.
 */
async function locateForRoot(dir: string): Promise<DataLocation> {
  const noteFile = path.join(dir, 'data-path');
  const noted = (await readIfThere(noteFile))?.trim();
  if (noted !== undefined && noted !== '') {
    if (!(await exists(noted))) {
      throw new UserError(
        `The data of the embedded Postgres were in ${noted} (noted in ${noteFile}), which is gone. ` +
          `Bring it back, or delete ${dir} to start with an empty database.`,
      );
    }
    return { dir, home: noted, account: (await ownerOf(noted)) ?? (await unprivilegedAccount()) };
  }

  const own = path.join(dir, 'data');
  const account = (await ownerOf(own)) ?? (await unprivilegedAccount());
  const closed = await firstClosed(dir, account);
  if (closed === undefined) return { dir, home: dir, account };
  if (await exists(own)) {
    throw new UserError(
      `Postgres runs as uid ${account.uid}, the owner of ${own}, but that account cannot enter ${closed}. ` +
        `Allow it to: chmod o+x ${closed}`,
    );
  }
  const home = await makeHomeElsewhere(dir, account);
  await fs.writeFile(noteFile, `${home}\n`, { mode: 0o600 });
  return { dir, home, account };
}

async function makeHomeElsewhere(dir: string, account: Account): Promise<string> {
  await makeDir(ELSEWHERE);
  const closed = await firstClosed(ELSEWHERE, account);
  if (closed !== undefined) {
    throw new UserError(
      `Postgres cannot run as root, and the account it would run as (uid ${account.uid}) can enter neither ${dir} ` +
        `nor ${closed}. Choose a directory that others may enter, run as an ordinary user, or set DATABASE_URL.`,
    );
  }
  const home = path.join(ELSEWHERE, createHash('sha256').update(dir).digest('hex').slice(0, 16));
  // not noted in `dir`: left over from a deleted `dir`, so its data was meant to be deleted as well
  const left = await readPostmaster(path.join(home, 'data'));
  if (left !== undefined) await stopPostmaster(path.join(home, 'data'), left.pid);
  await fs.rm(home, { recursive: true, force: true });
  await fs.mkdir(home, { mode: 0o700 });
  await fs.chown(home, account.uid, account.gid);
  return home;
}
