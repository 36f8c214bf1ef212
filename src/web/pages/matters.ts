import type { OpenNotice } from '../../alerts/index.ts';
import { relative } from '../../durations.ts';
import type { Overview } from '../../overview.ts';
import type { Trouble, TroubleCounts } from '../../temu/trouble.ts';
import { type Matter, MOST_ALIKE, plural, type Situation } from './matter.ts';
import { couriers, stores } from './matters-of-accounts.ts';

/** A notice of something that the rows no longer show is news for a day. */
const NEWS_MS = 86_400_000;
/** All of them, what needs a person first; from the rows as they are, so that what is mended is gone. */
export function matters(situation: Situation): Matter[] {
  const found = [
    ...troubles(situation.troubles),
    ...stores(situation),
    ...couriers(situation),
    ...words(situation.words),
    ...silent(situation.overview),
    ...queues(situation.overview.queues),
    ...news(situation),
  ];
  return [
    ...found.filter(({ urgency }) => urgency === 'act'),
    ...found.filter(({ urgency }) => urgency === 'look'),
  ];
}

export interface Verdict {
  tone: 'ok' | 'warn' | 'bad';
  text: string;
}

/** The answer to "is all well?". */
export function verdict(all: readonly Matter[], { stores, tracking }: Situation['overview']): Verdict {
  const act = all.filter(({ urgency }) => urgency === 'act').length;
  const look = all.length - act;
  const too = look > 0 ? `, ${look} ${look === 1 ? 'is' : 'are'} worth a look` : '';
  if (act > 0)
    return { tone: 'bad', text: `${act} ${act === 1 ? 'thing needs' : 'things need'} a person${too}` };
  if (stores.length === 0 && tracking.trackers.every(({ on }) => !on))
    return { tone: 'warn', text: 'Nothing to do yet: no store is added and no courier is set up' };
  if (look > 0)
    return { tone: 'warn', text: `All is well, ${plural(look, 'thing is', 'things are')} worth a look` };
  return { tone: 'ok', text: 'All is well' };
}

const listOf = (trouble: Trouble, text = 'See the list') => ({ href: `/orders?show=${trouble}`, text });

function troubles(counts: TroubleCounts): Matter[] {
  const found: (Matter | false)[] = [
    counts.risk > 0 && {
      urgency: 'act',
      what: `${plural(counts.risk, 'order must', 'orders must')} ship within two hours, or should have, and Temu has no AWB`,
      todo: 'Create the AWB in the shipping app; where there is one, the order’s story says why Temu does not have it.',
      link: listOf('risk'),
    },
    counts.parked > 0 && {
      urgency: 'act',
      what: `${plural(counts.parked, 'AWB was', 'AWBs were')} not taken by Temu`,
      todo: 'Mend the reason that is shown there, then try them again:',
      command: 'orderfleet awb retry --failed',
      link: listOf('parked'),
    },
    counts.unmatched > 0 && {
      urgency: 'act',
      what: `${plural(counts.unmatched, 'AWB has', 'AWBs have')} waited a day for an order that is not known`,
      todo: 'Check the order number in the shipping app, and that its store is added and synced.',
      link: listOf('unmatched'),
    },
    counts.failed > 0 && {
      urgency: 'act',
      what: `${plural(counts.failed, 'order', 'orders')} could not be stored`,
      todo: 'The list shows why. They come back by themselves when Temu changes them; once the reason is mended, at once:',
      command: 'orderfleet sync --failed',
      link: listOf('failed'),
    },
    counts.longIncomplete > 0 && {
      urgency: 'act',
      what: `${plural(counts.longIncomplete, 'order has', 'orders have')} been incomplete for more than a day`,
      todo: 'The reason is Temu’s; it says what the seller must do. They are tried again daily.',
      link: listOf('incomplete'),
    },
    counts.incomplete > counts.longIncomplete && {
      urgency: 'look',
      what: `${plural(counts.incomplete - counts.longIncomplete, 'order is', 'orders are')} incomplete`,
      todo: 'A price or an address is missing; it is asked for again every hour.',
      link: listOf('incomplete'),
    },
  ];
  return found.filter((one) => one !== false);
}

function words(open: Situation['words']): Matter[] {
  const [first] = open;
  if (!first) return [];
  const shown = open
    .slice(0, MOST_ALIKE)
    .map(({ word }) => `“${word}”`)
    .join(', ');
  return [
    {
      urgency: 'act',
      what: `${plural(open.length, 'word of a courier has', 'words of couriers have')} no meaning yet: ${shown}${open.length > MOST_ALIKE ? ', …' : ''}`,
      todo: 'Parcels that show one keep their old status until it is settled what it means:',
      command: `orderfleet words map ${first.tracker} ${/^[\w-]+$/.test(first.word) ? first.word : JSON.stringify(first.word)} STATUS`,
      link: { href: '#words', text: 'See the words' },
    },
  ];
}

const toQueue = (queue: string, state?: string) => ({
  href: `/queues/queue/${queue}${state ? `?status=${state}` : ''}`,
  text: 'Open the queue',
});

function silent({ queues, silent }: Pick<Overview, 'queues' | 'silent'>): Matter[] {
  if (silent.length === 0) return [];
  const some = `${plural(silent.length, 'queue does', 'queues do')} not answer: ${silent.map(({ queue }) => queue).join(', ')}`;
  return [
    {
      urgency: 'act',
      what: queues.length === 0 ? 'The queues do not answer' : some,
      todo: 'Nothing is worked on until they do; then it goes on by itself. Does their Redis (or their Postgres, without REDIS_URL) run, and does this machine reach it?',
      command: 'orderfleet doctor',
    },
  ];
}

function queues(all: Overview['queues']): Matter[] {
  const orphaned = all.filter(
    ({ workers, waiting, delayed, active }) => workers === 0 && waiting + delayed + active > 0,
  );
  const failed = all.filter(({ failed }) => failed > 0);
  return [
    ...orphaned.map(
      ({ queue, worker, waiting, delayed, active }): Matter => ({
        urgency: 'act',
        what: `No worker takes the ${plural(waiting + delayed + active, 'job')} of ${queue}`,
        todo: 'Start one:',
        command: `npm run worker -- ${worker}`,
        link: toQueue(queue),
      }),
    ),
    ...failed.map(
      ({ queue, failed }): Matter => ({
        urgency: 'look',
        what: `${plural(failed, 'job')} of ${queue} failed for a reason that no rule foresees`,
        todo: 'The rows they worked on are taken up again by the sweep. Look at the reason, then remove or retry the jobs there.',
        link: toQueue(queue, 'failed'),
      }),
    ),
  ];
}

/** Kinds of notices whose matter is read from the rows above: there it disappears when it is mended. */
export const SEEN_ELSEWHERE = [
  ...['store-paused', 'scope-missing', 'tracker-stopped', 'unmapped-status'],
  ...['awb-at-risk', 'awb-not-sent', 'awb-without-order'],
];
/** Kinds that openNotices reads from rows: true for as long as they come. */
const LASTING = new Set(['webhook-stopped']);

/** What to do about the rest, by kind. */
const REMEDIES: Record<string, { urgency?: 'act'; todo: string; command?: string }> = {
  'delivery-failed': {
    todo: 'Whoever was to be told has not been. Mend the address or the other side, then try again:',
    command: 'orderfleet webhooks retry --failed',
  },
  'webhook-stopped': {
    urgency: 'act',
    todo: 'When the other side is mended:',
    command: 'orderfleet webhooks resume URL',
  },
  'mail-refused': {
    todo: 'Correct the address in EMAIL_RECIPIENTS, or fix its mailbox; what it missed is not sent again.',
  },
  'sync-gap': {
    todo: 'Reading the store again usually brings what is missing:',
    command: 'orderfleet sync',
  },
  'seller-must-act': {
    urgency: 'act',
    todo: 'Do it in Temu’s seller centre; the orders come in by themselves afterwards.',
  },
  'unknown-country': {
    todo: 'The orders keep the country’s name and have no code; a label may need one: write it into the order.',
  },
  'unknown-status': {
    todo: 'These orders stay Incomplete until Temu gives them a status that is known: tell the developer.',
  },
};

/** What people have been told in the last day and the rows do not show, one matter a kind. */
function news({ notices, now }: Situation): Matter[] {
  const kinds = new Map<string, OpenNotice[]>();
  for (const one of notices)
    if (LASTING.has(one.kind) || now - one.since.getTime() < NEWS_MS)
      kinds.set(one.kind, [...(kinds.get(one.kind) ?? []), one]);
  return [...kinds].map(([kind, told]) => {
    const { urgency = 'look', ...remedy } = REMEDIES[kind] ?? { todo: 'People have been told of it.' };
    const texts = [...new Set(told.map(({ text }) => text))];
    const order = told.find((one) => one.order !== null)?.order;
    const more = texts.length > MOST_ALIKE ? ` · and ${texts.length - MOST_ALIKE} more` : '';
    return {
      urgency,
      what: `${texts.slice(0, MOST_ALIKE).join(' · ')}${more} (${relative(told[0]?.since ?? null, now)})`,
      ...remedy,
      ...(order
        ? { link: { href: `/orders/${encodeURIComponent(order)}`, text: `See order ${order}` } }
        : {}),
    };
  });
}
