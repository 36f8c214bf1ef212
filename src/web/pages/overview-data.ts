import type { OpenNotice } from '../../alerts/index.ts';
import type { ChartHistory } from '../../ops/charts.ts';
import type { Overview } from '../../ops/overview.ts';
import type { OrderAtRisk } from '../../orders/at-risk.ts';
import type { AttentionCounts } from '../../orders/attention.ts';
import type { FailedRun } from '../../tracking/failed-runs.ts';
import type { Tracker, UnmappedStatus } from '../../tracking/index.ts';

/** One thing that needs an operator, with what to do about it. */
export interface AttentionItem {
  /** `action`: it does not resolve itself; `info`: a warning, it may. */
  severity: 'action' | 'info';
  what: string;
  todo: string;
  /** A command to paste into a terminal. */
  command?: string;
  link?: { href: string; text: string };
}

/** The state of the fleet, as input of the attention items. */
export interface FleetState {
  overview: Pick<Overview, 'stores' | 'tracking' | 'queues' | 'silent'>;
  counts: AttentionCounts;
  /** Raw statuses without a mapping. */
  unmapped: readonly Pick<UnmappedStatus, 'tracker' | 'word' | 'count'>[];
  /** Notices whose cause is not in the other rows. */
  notices: readonly OpenNotice[];
  failedRuns: readonly FailedRun[];
  trackers: readonly Tracker[];
  now: number;
}

export interface HeadlineText {
  tone: 'ok' | 'warn' | 'bad';
  text: string;
}

/** Data of the overview page. */
export interface OverviewData {
  overview: Overview;
  counts: AttentionCounts;
  /** The first of them. */
  atRisk: OrderAtRisk[];
  unmapped: UnmappedStatus[];
  limits: { account: string; used: number }[];
  attention: AttentionItem[];
  headline: HeadlineText;
  history: ChartHistory;
  /** Epoch milliseconds. */
  now: number;
}
