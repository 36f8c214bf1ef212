import { readdir, readFile } from 'node:fs/promises';
import path from 'node:path';
import { describe, expect, it } from 'vitest';
import { ROOT } from '../support/process.ts';
import { readingsOf } from '../support/sentences.ts';

/** Sentences that are not ours, or not read for what they say; each is read in this place alone. */
const OTHERS: Record<string, string> = {
  'src/lib/infrastructure.ts': 'what drivers and Redis say without a code',
  'src/queue/redis.ts': 'what Redis says: read-only, moved',
  'src/queue/run.ts': 'what BullMQ says of a lock, without a code',
  'src/client/index.ts': 'what Redis says: read-only',
  'src/temu/error-classes.ts': 'what Temu says under a code that means anything',
  'src/orders/attention.ts': 'a message that a person picked from the list of them, whatever it says',
};

describe('sentences are for people: code decides by kinds', () => {
  it('in this checkout', async () => {
    const found: Record<string, string[]> = {};
    for (const folder of ['src', 'workers'])
      for (const name of await readdir(path.join(ROOT, folder), { recursive: true })) {
        if (!/\.tsx?$/.test(name)) continue;
        const file = path.join(folder, name).split(path.sep).join('/');
        const readings = readingsOf(await readFile(path.join(ROOT, file), 'utf8'));
        if (readings.length > 0) found[file] = readings;
      }
    expect(Object.keys(found).sort()).toEqual(Object.keys(OTHERS).sort());
  });

  it.each([
    `all.filter(({ active, pausedReason }) => !active && pausedReason?.startsWith('Temu'))`,
    `if (news && /403|login/.test(why))`,
    `const [, refusal] = /^(Temu refused .*)$/s.exec(row.pausedReason ?? '') ?? [];`,
    `  where not starts_with(coalesce(p.error, ''), \${REPLACED})`,
    `  and p.error like \${\`%called \${name};%\`}`,
    `  where n.key like 'store-paused-' || s.id || '-%'`,
    `  where error ~ 'no carrier'`,
    `  and starts_with(\${orderErrors.message}, \${says})`,
    `sql\`\${notices.key} like \${\`store-paused-\${row.id}-%\`}\``,
    `tracker.off === 'no credentials'`,
    `    case 'no credentials':`,
    `if (outcome.outcome === 'queued') wait();`,
    `if (recorded.outcome !== 'parked') go();`,
  ])('finds %s', (line) => {
    expect(readingsOf(line)).toEqual([`1: ${line.trim()}`]);
  });

  it.each([
    `tracker.off === 'noCredentials'`,
    `if (recorded.is === 'parked') throw new UserError(recorded.why);`,
    `set state = 'parked', error = \${error}`,
    `    case 'Ready for Shipping':`,
    `// error like 'x'`,
    `const key = \`store-paused-\${id}\`;`,
    `/^\\d+$/.test(id)`,
  ])('lets %s pass', (line) => {
    expect(readingsOf(line)).toEqual([]);
  });
});
