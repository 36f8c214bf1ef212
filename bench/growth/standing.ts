import { setTimeout as sleep } from 'node:timers/promises';
import type { Measured } from '../../docs/performance.ts';
import type { Context } from '../support/case.ts';
import { plansOf } from '../support/plans.ts';
import { tidy } from '../support/tables.ts';
import type { Trade } from './disk.ts';
import { measuredOnce, once } from './rows.ts';

const SHOWN = 8;
const LONGEST_NAME = 90;

/** Which of the scheduler's statements take long among so much, and which read a table from one end to the other. */
export async function standing(
  { stage, ours }: Context,
  { sql, env, stores, parcels }: Trade,
  seconds: number,
): Promise<Measured> {
  await tidy(sql);
  let others = 0;
  const plans = await plansOf(sql, stage.log, async () => {
    const child = await ours.start('scheduler', env);
    ({ others } = await stage.measure(() => sleep(seconds * 1_000)));
    await child.stop();
  });
  const by = new Map<string, { ms: number[]; scanned: Set<string> }>();
  for (const { text, ms, scanned } of plans) {
    const name = shortOf(text);
    const its = by.get(name) ?? { ms: [], scanned: new Set() };
    by.set(name, its);
    its.ms.push(ms);
    for (const table of scanned) its.scanned.add(table);
  }
  const slowest = [...by].sort(([, a], [, b]) => Math.max(...b.ms) - Math.max(...a.ms));
  const scans = [...by].filter(([, { scanned }]) => scanned.size > 0);
  for (const [name, { scanned }] of scans) console.error(`  scans ${[...scanned].join(', ')}: ${name}`);
  return measuredOnce(
    {
      what: 'P10: the scheduler’s slowest statements in a large fleet',
      size: `${seconds} s from its start, ${stores.toLocaleString('en')} stores, ${parcels.toLocaleString('en')} parcels; ${by.size} different statements`,
      rows: slowest.slice(0, SHOWN).map(([name, { ms, scanned }]) =>
        once(name, {
          times: ms.length,
          'longest, ms': Math.max(...ms),
          'all, ms': ms.reduce((sum, one) => sum + one, 0),
          'tables that grow, scanned': scanned.size,
        }),
      ),
      checked: `${scans.length} statements scanned a table that grows`,
    },
    others,
  );
}

/** A statement's beginning, and the tables that it names. */
function shortOf(text: string): string {
  const words = text.replace(/\s+/g, ' ').replace(/["|`]/g, '').trim();
  const tables = [
    ...new Set([...words.matchAll(/(?:from|into|update|join) ([a-z_]+)/g)].map(([, one]) => one)),
  ];
  return `${words.slice(0, LONGEST_NAME - 50)}… (${tables.join(', ')})`.slice(0, 2 * LONGEST_NAME);
}
