import type { Fleet } from '../fleet.ts';

/** `unknown`: it could not be looked at. */
export type Verdict = 'ok' | 'warning' | 'fault' | 'unknown';

export interface Finding {
  verdict: Verdict;
  /** A sentence about what was found, without secrets and personal data. */
  says: string;
  /** What to do about it, with the command or the variable; null where nothing is to be done. */
  remedy: string | null;
}

/** What a check stands on: where that is away, it is not tried. */
export type Ground = 'database' | 'queues';

/** One thing that `orderfleet doctor` looks at (O6). */
export interface Check {
  name: string;
  needs?: readonly Ground[];
  /**
   * What it throws becomes a finding of its own.
   * @param signal aborted when its time is up
   */
  look(fleet: Fleet, signal: AbortSignal): Promise<Finding[]>;
}

/** What others stand on: `away` says why nothing that needs it can be looked at. */
export interface GroundCheck {
  name: string;
  look(fleet: Fleet): Promise<GroundFound>;
}

export interface GroundFound {
  findings: Finding[];
  away?: Partial<Record<Ground, string>>;
}

export const ok = (says: string): Finding => ({ verdict: 'ok', says, remedy: null });
export const warning = (says: string, remedy: string): Finding => ({ verdict: 'warning', says, remedy });
export const fault = (says: string, remedy: string): Finding => ({ verdict: 'fault', says, remedy });
export const unknown = (says: string, remedy: string | null = null): Finding => ({
  verdict: 'unknown',
  says,
  remedy,
});

/** What is well in one sentence, when nothing else is said. */
export const orWell = (findings: Finding[], well: string): Finding[] =>
  findings.length > 0 ? findings : [ok(well)];

/** How to start a worker, in a checkout and in a container. */
export const startWorker = (name: string) =>
  `start one: npm run worker -- ${name} (in a container: node dist/workers/${name}.js)`;

/** "3 orders", "1 order", "2 deliveries". */
export const several = (count: number, one: string, many = `${one}s`) =>
  `${count.toLocaleString('en')} ${count === 1 ? one : many}`;

/** Compares "20.19.0" with "6.2": negative when the first is older. Parts that are missing count as 0. */
export function compareVersions(a: string, b: string): number {
  const [left, right] = [a, b].map((version) => (version.match(/\d+/g) ?? []).slice(0, 3).map(Number));
  for (let at = 0; at < 3; at++) {
    const difference = (left?.[at] ?? 0) - (right?.[at] ?? 0);
    if (difference !== 0) return difference;
  }
  return 0;
}
