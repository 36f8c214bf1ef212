import type { Overview } from '../../overview.ts';
import type { OrderAtRisk } from '../../temu/awb/index.ts';
import type { TroubleCounts } from '../../temu/trouble.ts';
import type { StrangeWord } from '../../tracking/index.ts';
import type { History } from '../history.ts';
import type { Matter } from './matter.ts';
import type { Verdict } from './matters.ts';

/** All that the overview shows. */
export interface OverviewData {
  overview: Overview;
  troubles: TroubleCounts;
  /** The first of them. */
  atRisk: OrderAtRisk[];
  words: StrangeWord[];
  limits: { account: string; used: number }[];
  matters: Matter[];
  verdict: Verdict;
  history: History;
  /** Epoch milliseconds. */
  now: number;
}
