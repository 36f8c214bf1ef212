import type { Fleet } from '../fleet/index.ts';

/** `unknown`: it could not be checked. */
export type Verdict = 'ok' | 'warning' | 'fault' | 'unknown';

export interface Finding {
  verdict: Verdict;
  /** A sentence about what was found, without secrets and personal data. */
  says: string;
  /** What to do, with the command or the variable; null: nothing. */
  remedy: string | null;
}

/** What a check depends on: without it the check is skipped. */
export type Environment = 'database' | 'queues';

/** One thing that `orderfleet doctor` checks (O6). */
export interface Check {
  name: string;
  needs?: readonly Environment[];
  /**
   * An error becomes a finding.
   * @param signal aborted at its timeout
   */
  look(fleet: Fleet, signal: AbortSignal): Promise<Finding[]>;
}

/** A check that others depend on; `away`: why those cannot be run. */
export interface EnvironmentCheck {
  name: string;
  look(fleet: Fleet): Promise<GroundFound>;
}

export interface GroundFound {
  findings: Finding[];
  away?: Partial<Record<Environment, string>>;
}

export const ok = (says: string): Finding => ({ verdict: 'ok', says, remedy: null });
export const warning = (says: string, remedy: string): Finding => ({ verdict: 'warning', says, remedy });
export const fault = (says: string, remedy: string): Finding => ({ verdict: 'fault', says, remedy });
export const unknown = (says: string, remedy: string | null = null): Finding => ({
  verdict: 'unknown',
  says,
  remedy,
});

/** One `ok` finding when there are no others. */
export const orWell = (findings: Finding[], well: string): Finding[] =>
  findings.length > 0 ? findings : [ok(well)];

/** How to start a worker, in a checkout and in a container. */
export const startWorker = (name: string) =>
  `start one: npm run worker -- ${name} (in a container: node dist/workers/${name}.js)`;

/** Compares "20.19.0" with "6.2": negative when the first is older. Missing parts count as 0. */
export function compareVersions(a: string, b: string): number {
  const [left, right] = [a, b].map((version) => (version.match(/\d+/g) ?? []).slice(0, 3).map(Number));
  for (let at = 0; at < 3; at++) {
    const difference = (left?.[at] ?? 0) - (right?.[at] ?? 0);
    if (difference !== 0) return difference;
  }
  return 0;
}
