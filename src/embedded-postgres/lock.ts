import { randomBytes } from 'node:crypto';
import * as fs from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import { UserError } from '../lib/errors.ts';
import { hasCode, isAlive, POLL_MS, readIfThere } from './tools.ts';

/** Longer than a start may take: a minute of recovery and a quarter for the backends of a killed server. */
const PATIENCE_MS = 75_000;

/** Locks `file` for this process, waiting for another that holds it. The lock of a dead process is taken over. */
export async function lock(file: string): Promise<() => Promise<void>> {
  const giveUpAt = Date.now() + PATIENCE_MS;
  const draft = `${file}.${process.pid}.${randomBytes(4).toString('hex')}`;
  await fs.writeFile(draft, `${process.pid}\n`, { mode: 0o600 });
  try {
    for (;;) {
      try {
        // a link appears with its content or not at all
        await fs.link(draft, file);
        return () => fs.rm(file, { force: true });
      } catch (error) {
        if (!hasCode(error, 'EEXIST')) throw error;
      }
      const holder = Number(await readIfThere(file));
      if (holder > 0 && !isAlive(holder)) await fs.rm(file, { force: true });
      else if (Date.now() > giveUpAt) {
        throw new UserError(
          `Process ${holder} has been starting this Postgres for too long. End it, or delete ${file}.`,
        );
      } else await sleep(POLL_MS);
    }
  } finally {
    await fs.rm(draft, { force: true });
  }
}
