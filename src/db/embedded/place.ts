import { createHash } from 'node:crypto';
import * as fs from 'node:fs/promises';
import path from 'node:path';
import { UserError } from '../../errors.ts';
import { type Account, firstClosed, ownerOf, unprivilegedAccount } from './account.ts';
import { readPostmaster, stopPostmaster } from './postmaster.ts';
import { exists, readIfThere } from './tools.ts';

/** Where root's data go when Postgres may not enter the directory of its choice. */
const ELSEWHERE = '/var/lib/orderfleet';

export interface Place {
  /** The directory of the caller's choice. */
  dir: string;
  /** Where the data and a copy of the binaries lie: `dir`, or elsewhere if Postgres could not enter it. */
  home: string;
  account: Account | undefined;
}

/** By number: in a container one may be a uid that no account has, of which os.userInfo() knows nothing. */
const isRoot = () => process.getuid?.() === 0;

/** Creates the directory if it is missing, and returns its real path. */
export async function makeDir(wanted: string): Promise<string> {
  // as root, others may pass through (not look): Postgres runs as another account. All below is private
  const mode = isRoot() ? 0o711 : 0o700;
  const made = await fs.mkdir(wanted, { recursive: true, mode });
  if (made !== undefined) await fs.chmod(wanted, mode);
  return await fs.realpath(wanted);
}

/** Everyone but root keeps everything in `dir` and runs Postgres as they are. */
export async function findPlace(dir: string): Promise<Place> {
  return isRoot() ? await findPlaceForRoot(dir) : { dir, home: dir, account: undefined };
}

/**
 * Postgres refuses to run as root. It then runs as the owner of the data, else as `postgres` or `nobody`; and
 * where that account cannot enter `dir`, the data lie in ELSEWHERE and `dir/data-path` says so.
 */
async function findPlaceForRoot(dir: string): Promise<Place> {
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
  const wall = await firstClosed(dir, account);
  if (wall === undefined) return { dir, home: dir, account };
  if (await exists(own)) {
    throw new UserError(
      `Postgres runs as uid ${account.uid}, to whom ${own} belongs, but that account cannot enter ${wall}. ` +
        `Let it through: chmod o+x ${wall}`,
    );
  }
  const home = await makeHomeElsewhere(dir, account);
  await fs.writeFile(noteFile, `${home}\n`, { mode: 0o600 });
  return { dir, home, account };
}

async function makeHomeElsewhere(dir: string, account: Account): Promise<string> {
  await makeDir(ELSEWHERE);
  const wall = await firstClosed(ELSEWHERE, account);
  if (wall !== undefined) {
    throw new UserError(
      `Postgres cannot run as root, and the account it would run as (uid ${account.uid}) can enter neither ${dir} ` +
        `nor ${wall}. Choose a directory that others may enter, run as an ordinary user, or set DATABASE_URL.`,
    );
  }
  const home = path.join(ELSEWHERE, createHash('sha256').update(dir).digest('hex').slice(0, 16));
  // unknown to `dir`: left over from a `dir` that was deleted, so its data were meant to go as well
  const left = await readPostmaster(path.join(home, 'data'));
  if (left !== undefined) await stopPostmaster(path.join(home, 'data'), left.pid);
  await fs.rm(home, { recursive: true, force: true });
  await fs.mkdir(home, { mode: 0o700 });
  await fs.chown(home, account.uid, account.gid);
  return home;
}
