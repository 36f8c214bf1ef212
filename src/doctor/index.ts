import { setTimeout as sleep } from 'node:timers/promises';
import type { Fleet } from '../fleet/index.ts';
import { messageOf } from '../lib/errors.ts';
import {
  type Check,
  type Environment,
  type EnvironmentCheck,
  type Finding,
  type GroundFound,
  unknown,
  type Verdict,
} from './check.ts';
import { clocks } from './clocks.ts';
import { dashboard } from './dashboard.ts';
import { sealed } from './encryption-keys.ts';
import { messages, webhooks } from './messages.ts';
import { migrations, postgres } from './postgres.ts';
import { queues } from './queues.ts';
import { redis } from './redis.ts';
import { credentials, stores } from './stores.ts';
import { trackers } from './trackers.ts';
import { program } from './version.ts';

export type { Finding, Verdict } from './check.ts';

/** Findings of one check; its verdict is the worst of them. */
export interface Examined {
  name: string;
  verdict: Verdict;
  findings: Finding[];
}

export interface StoreFault extends Pick<Finding, 'says' | 'remedy'> {
  /** Postgres or Redis. */
  store: string;
}

/** What `orderfleet doctor --json` prints. */
export interface Examination {
  verdict: Verdict;
  checks: Examined[];
}

const CHECKS: readonly Check[] = [
  ...[
    program,
    migrations,
    queues,
    clocks,
    stores,
    credentials,
    sealed,
    trackers,
    messages,
    webhooks,
    dashboard,
  ],
];

/** Timeout of one check: a call to Temu may take 15 s. */
const TIME_LIMIT_MS = 20_000;

/** From good to bad. */
const SEVERITY: readonly Verdict[] = ['ok', 'warning', 'unknown', 'fault'];
const worst = (verdicts: readonly Verdict[]): Verdict =>
  SEVERITY[Math.max(0, ...verdicts.map((one) => SEVERITY.indexOf(one)))] ?? 'ok';

const examined = (name: string, findings: Finding[]): Examined => ({
  name,
  verdict: worst(findings.map(({ verdict }) => verdict)),
  findings,
});

/**
 * Checks everything that a fleet needs (O6): Postgres and Redis first, then everything else in parallel. Changes nothing,
 * and works in a broken environment: a check that is impossible is reported as skipped.
 */
export async function runDoctor(fleet: Fleet, timeLimitMs = TIME_LIMIT_MS): Promise<Examination> {
  const grounds = await examineGrounds(fleet, timeLimitMs);
  const away = Object.assign({}, ...grounds.map((ground) => ground.away)) as Partial<
    Record<Environment, string>
  >;
  const others = await Promise.all(
    CHECKS.map(async (check) => {
      const why = check.needs?.map((ground) => away[ground]).find((reason) => reason !== undefined);
      return examined(
        check.name,
        why === undefined ? await examine(check, fleet, timeLimitMs) : [unknown(`skipped: ${why}`)],
      );
    }),
  );
  const checks = [...grounds.map((ground) => ground.examined), ...others];
  return { verdict: worst(checks.map(({ verdict }) => verdict)), checks };
}

const examineGrounds = (fleet: Fleet, timeLimitMs: number) =>
  Promise.all([postgres, redis].map((one) => examineGround(one, fleet, timeLimitMs)));

/**
 * Problems of Postgres and Redis only, with remedies: nothing else works while they fail (R10).
 */
export async function storeFaults(fleet: Fleet, timeLimitMs = TIME_LIMIT_MS): Promise<StoreFault[]> {
  const grounds = await examineGrounds(fleet, timeLimitMs);
  return grounds.flatMap(({ examined: { name, findings } }) =>
    findings
      .filter(({ verdict }) => verdict === 'fault' || verdict === 'unknown')
      .map(({ says, remedy }) => ({ store: name, says, remedy })),
  );
}

async function examineGround({ name, look }: EnvironmentCheck, fleet: Fleet, timeLimitMs: number) {
  const { findings, away }: GroundFound = await inTime(timeLimitMs, () => look(fleet)).catch((error) => {
    const says = `could not be checked: ${messageOf(error)}`;
    const both = name === postgres.name ? { database: `${name} ${says}` } : {};
    return { findings: [unknown(says)], away: { ...both, queues: `${name} ${says}` } };
  });
  return { examined: examined(name, findings), away };
}

/** A check that throws or times out yields a finding, too. */
async function examine(check: Check, fleet: Fleet, timeLimitMs: number): Promise<Finding[]> {
  try {
    return await inTime(timeLimitMs, (signal) => check.look(fleet, signal));
  } catch (error) {
    return [unknown(`could not be checked: ${messageOf(error)}`)];
  }
}

async function inTime<T>(ms: number, work: (signal: AbortSignal) => Promise<T>): Promise<T> {
  const over = new AbortController();
  const late = new AbortController();
  const limit = sleep(ms, undefined, { signal: over.signal }).then(() => {
    const error = new Error(`timed out after ${ms / 1000} s`);
    late.abort(error);
    throw error;
  });
  try {
    return await Promise.race([work(late.signal), limit]);
  } finally {
    limit.catch(() => {});
    over.abort();
  }
}
