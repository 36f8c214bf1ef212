import type { OpenNotice } from '../../alerts/index.ts';
import type { Overview } from '../../overview.ts';
import type { TroubleCounts } from '../../temu/trouble.ts';
import type { StrangeWord } from '../../tracking/index.ts';
import type { FailedRound } from '../rounds.ts';

/** One thing that a person has to do something about, or should know of. */
export interface Matter {
  /** `act`: it does not mend itself; `look`: it may. */
  urgency: 'act' | 'look';
  what: string;
  todo: string;
  /** To be typed. */
  command?: string;
  link?: { href: string; text: string };
}

/** How the fleet stands, as far as a person may have to act on it. */
export interface Situation {
  overview: Pick<Overview, 'stores' | 'tracking' | 'queues' | 'silent'>;
  troubles: TroubleCounts;
  /** Those that are open. */
  words: readonly Pick<StrangeWord, 'tracker' | 'word' | 'count'>[];
  /** Without those of SEEN_ELSEWHERE. */
  notices: readonly OpenNotice[];
  rounds: readonly FailedRound[];
  /** From the start of one run to the start of the next, by tracker, in milliseconds. */
  roundMs: ReadonlyMap<string, number>;
  now: number;
}

/** Beyond so many of a kind, one line stands for all of them. */
export const MOST_ALIKE = 3;

export const plural = (count: number, one: string, many = `${one}s`) =>
  `${count.toLocaleString('en')} ${count === 1 ? one : many}`;
