import type { OpenNotice } from '../../alerts/index.ts';
import { relative } from '../../lib/format-time.ts';
import { plural } from '../../lib/plural.ts';
import { DELIVERY_FAILED, noticeFor } from '../../notices/index.ts';
import type { Overview } from '../../ops/overview.ts';
import type { AttentionCounts, AttentionList } from '../../orders/attention.ts';
import { couriers, MOST_ALIKE, stores, untracked } from './attention-accounts.ts';
import type { AttentionItem, FleetState, HeadlineText } from './overview-data.ts';

/** How long a notice is shown whose cause is no longer in the tables. */
const NOTICE_SHOWN_MS = 86_400_000;

/** All items, `action` first, from the current rows: fixed problems disappear. */
export function attentionItems(state: FleetState): AttentionItem[] {
  const found = [
    ...orders(state.counts),
    ...stores(state),
    ...couriers(state),
    ...untracked(state),
    ...unmappedStatuses(state.unmapped),
    ...unreachable(state.overview),
    ...queues(state.overview.queues),
    ...recentNotices(state),
  ];
  return [
    ...found.filter(({ severity }) => severity === 'action'),
    ...found.filter(({ severity }) => severity === 'info'),
  ];
}

/** The state of the fleet in one line. */
export function headline(
  all: readonly AttentionItem[],
  { stores, tracking }: FleetState['overview'],
): HeadlineText {
  const actions = all.filter(({ severity }) => severity === 'action').length;
  const warnings = plural(all.length - actions, 'warning');
  if (actions > 0)
    return {
      tone: 'bad',
      text: `${plural(actions, 'issue needs', 'issues need')} you${all.length > actions ? ` · ${warnings}` : ''}`,
    };
  if (stores.length === 0 && tracking.trackers.every(({ on }) => !on))
    return { tone: 'warn', text: 'Nothing to do yet: no store is added and no courier is set up' };
  if (all.length > 0) return { tone: 'warn', text: `No issues · ${warnings}` };
  return { tone: 'ok', text: 'All systems normal' };
}

const listOf = (list: AttentionList, text = 'See the list') => ({ href: `/orders?show=${list}`, text });

function orders(counts: AttentionCounts): AttentionItem[] {
  const found: (AttentionItem | false)[] = [
    counts.risk > 0 && {
      severity: 'action',
      what: `${plural(counts.risk, 'order is', 'orders are')} due to ship within two hours or overdue, with no AWB on Temu`,
      todo: 'Create the AWB in the shipping app. If it exists, the order’s page shows why Temu does not have it.',
      link: listOf('risk'),
    },
    counts.parked > 0 && {
      severity: 'action',
      what: `Temu rejected ${plural(counts.parked, 'tracking number')}`,
      todo: 'Fix the cause shown in the list, then retry:',
      command: 'orderfleet awb retry --failed',
      link: listOf('parked'),
    },
    counts.unmatched > 0 && {
      severity: 'action',
      what: `${plural(counts.unmatched, 'AWB has', 'AWBs have')} had no matching order for a day`,
      todo: 'Check the order number in the shipping app, and that its store is added and synced.',
      link: listOf('unmatched'),
    },
    counts.failed > 0 && {
      severity: 'action',
      what: `${plural(counts.failed, 'order', 'orders')} could not be saved`,
      todo: 'The list shows why. Each is retried when Temu changes it. To retry all once the cause is fixed:',
      command: 'orderfleet sync --failed',
      link: listOf('failed'),
    },
    counts.longIncomplete > 0 && {
      severity: 'action',
      what: `${plural(counts.longIncomplete, 'order has', 'orders have')} been incomplete for more than a day`,
      todo: 'The list shows Temu’s reason and what the seller must do. They are retried daily.',
      link: listOf('incomplete'),
    },
    counts.incomplete > counts.longIncomplete && {
      severity: 'info',
      what: `${plural(counts.incomplete - counts.longIncomplete, 'order is', 'orders are')} incomplete`,
      todo: 'A price or an address is missing. They are retried every hour.',
      link: listOf('incomplete'),
    },
  ];
  return found.filter((one) => one !== false);
}

function unmappedStatuses(open: FleetState['unmapped']): AttentionItem[] {
  const [first] = open;
  if (!first) return [];
  const shown = open
    .slice(0, MOST_ALIKE)
    .map(({ word }) => `“${word}”`)
    .join(', ');
  return [
    {
      severity: 'action',
      what: `${plural(open.length, 'unmapped courier status', 'unmapped courier statuses')}: ${shown}${open.length > MOST_ALIKE ? ', …' : ''}`,
      todo: 'Parcels with such a status keep their previous one until you map it:',
      command: `orderfleet words map ${first.tracker} ${/^[\w-]+$/.test(first.word) ? first.word : JSON.stringify(first.word)} STATUS`,
      link: { href: '#words', text: 'See the statuses' },
    },
  ];
}

const toQueue = (queue: string, state?: string) => ({
  href: `/queues/queue/${queue}${state ? `?status=${state}` : ''}`,
  text: 'Open the queue',
});

function unreachable({ queues, silent }: Pick<Overview, 'queues' | 'silent'>): AttentionItem[] {
  if (silent.length === 0) return [];
  const some = `${plural(silent.length, 'queue does', 'queues do')} not respond: ${silent.map(({ queue }) => queue).join(', ')}`;
  return [
    {
      severity: 'action',
      what: queues.length === 0 ? 'The queues do not respond' : some,
      todo: 'No jobs run until they do; processing then resumes by itself. Check that Redis (or Postgres, without REDIS_URL) is running and reachable:',
      command: 'orderfleet doctor',
    },
  ];
}

function queues(all: Overview['queues']): AttentionItem[] {
  const orphaned = all.filter(
    ({ workers, waiting, delayed, active }) => workers === 0 && waiting + delayed + active > 0,
  );
  const failed = all.filter(({ failed }) => failed > 0);
  return [
    ...orphaned.map(
      ({ queue, worker, waiting, delayed, active }): AttentionItem => ({
        severity: 'action',
        what: `No worker is running for the ${plural(waiting + delayed + active, 'job')} in ${queue}`,
        todo: 'Start one:',
        command: `npm run worker -- ${worker}`,
        link: toQueue(queue),
      }),
    ),
    ...failed.map(
      ({ queue, failed }): AttentionItem => ({
        severity: 'info',
        what: `${plural(failed, 'job')} in ${queue} failed unexpectedly`,
        todo: 'The rows behind them are retried by the sweep. Check the error, then remove or retry the jobs there.',
        link: toQueue(queue, 'failed'),
      }),
    ),
  ];
}

/** Notices of the last day whose cause is not in the rows, one item per kind. */
function recentNotices({ notices, now }: FleetState): AttentionItem[] {
  const kinds = new Map<string, OpenNotice[]>();
  for (const one of notices)
    if (noticeFor(one.kind)?.shownFrom === 'endpoint' || now - one.since.getTime() < NOTICE_SHOWN_MS)
      kinds.set(one.kind, [...(kinds.get(one.kind) ?? []), one]);
  return [...kinds].map(([kind, sent]) => {
    const { severity = 'info', remedy = { todo: 'An alert has been sent.' } } =
      kind === DELIVERY_FAILED.kind ? DELIVERY_FAILED : (noticeFor(kind) ?? {});
    const texts = [...new Set(sent.map(({ text }) => text))];
    const order = sent.find((one) => one.order !== null)?.order;
    const more = texts.length > MOST_ALIKE ? ` · and ${texts.length - MOST_ALIKE} more` : '';
    return {
      severity,
      what: `${texts.slice(0, MOST_ALIKE).join(' · ')}${more} (${relative(sent[0]?.since ?? null, now)})`,
      ...remedy,
      ...(order
        ? { link: { href: `/orders/${encodeURIComponent(order)}`, text: `See order ${order}` } }
        : {}),
    };
  });
}
