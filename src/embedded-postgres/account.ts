import { constants } from 'node:fs';
import * as fs from 'node:fs/promises';
import path from 'node:path';
import { UserError } from '../lib/errors.ts';
import { readIfThere } from './tools.ts';

/** The account that Postgres runs as. Where undefined is allowed, it means our own. */
export interface Account {
  uid: number;
  gid: number;
}

export async function unprivilegedAccount(): Promise<Account> {
  const lines = ((await readIfThere('/etc/passwd')) ?? '').split('\n').map((line) => line.split(':'));
  for (const name of ['postgres', 'nobody']) {
    const [, , uid, gid] = lines.find((fields) => fields[0] === name) ?? [];
    if (Number(uid) > 0) return { uid: Number(uid), gid: Number(gid) };
  }
  throw new UserError(
    'Postgres refuses to run as root, and this machine has neither an account "postgres" nor "nobody". ' +
      'Run as an ordinary user, or set DATABASE_URL.',
  );
}

export async function ownerOf(file: string): Promise<Account | undefined> {
  const seen = await fs.stat(file).catch(() => undefined);
  return seen === undefined || seen.uid === 0 ? undefined : { uid: seen.uid, gid: seen.gid };
}

/** The first directory on the path to `target`, or `target` itself, that the account cannot read or enter. */
export async function firstClosed(target: string, account: Account): Promise<string | undefined> {
  const steps: string[] = [];
  for (let at = await fs.realpath(target); ; at = path.dirname(at)) {
    steps.unshift(at);
    if (at === path.dirname(at)) break;
  }
  for (const step of steps) {
    const seen = await fs.stat(step);
    const shift = seen.uid === account.uid ? 6 : seen.gid === account.gid ? 3 : 0;
    const needed = seen.isDirectory() ? constants.S_IXOTH : constants.S_IROTH;
    if (((seen.mode >> shift) & needed) === 0) return step;
  }
  return undefined;
}

export async function giveTo(file: string, { uid, gid }: Account): Promise<void> {
  await fs.lchown(file, uid, gid);
  if (!(await fs.lstat(file)).isDirectory()) return;
  for (const name of await fs.readdir(file)) await giveTo(path.join(file, name), { uid, gid });
}
