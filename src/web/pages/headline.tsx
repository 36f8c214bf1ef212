import { type Matter, plural } from './matter.ts';
import type { OverviewData } from './overview-data.ts';
import { Ago, count, Panel, Said, Tag, utc } from './parts.tsx';

/** The answer to "is all well?". */
export const Headline = ({ verdict, overview, now }: OverviewData) => {
  const synced = overview.stores.flatMap(({ lastSyncedAt }) => lastSyncedAt ?? []);
  const latest = synced.sort((a, b) => b.getTime() - a.getTime())[0] ?? null;
  const { followed, lastChangeAt } = overview.tracking.parcels;
  const parcels = Object.values(followed).reduce((sum, one) => sum + one, 0);
  return (
    <section class={`verdict ${verdict.tone}`} id="verdict" data-live="" aria-labelledby="verdict-title">
      <h1 id="verdict-title">
        <span aria-hidden="true">{verdict.tone === 'ok' ? '✓ ' : verdict.tone === 'warn' ? '● ' : '▲ '}</span>
        {verdict.text}
      </h1>
      <p>
        {plural(overview.stores.length, 'store')}
        {latest ? (
          <>
            , last read <Ago at={latest} now={now} />
          </>
        ) : null}
        {' · '}
        {plural(parcels, 'parcel')} on their way
        {lastChangeAt ? (
          <>
            , last change <Ago at={lastChangeAt} now={now} />
          </>
        ) : null}
      </p>
      <p class="fresh" role="status">
        as of {utc(new Date(now)).slice(11)}
      </p>
    </section>
  );
};

/** The numbers that one looks for first. */
export const Figures = ({ overview, troubles, history }: OverviewData) => {
  const orders = new Map<string, number>();
  for (const store of overview.stores)
    for (const [status, number] of Object.entries(store.orders))
      orders.set(status, (orders.get(status) ?? 0) + number);
  const waiting = overview.stores.reduce((sum, { inbox }) => sum + inbox.waiting, 0);
  const came = history.charts.find(({ id }) => id === 'orders')?.series[0]?.values ?? [];
  const arrived = came.reduce<number>((sum, value) => sum + (value ?? 0), 0);
  const figures: [string, number, string][] = [
    [
      `New orders, ${history.hours < 48 ? `${history.hours} h` : `${history.hours / 24} days`}`,
      arrived,
      `${count(waiting)} being completed`,
    ],
    [
      'To be shipped',
      (orders.get('Ready for Shipping') ?? 0) + (orders.get('Partially Shipped') ?? 0),
      `${count(orders.get('Pending') ?? 0)} pending`,
    ],
    ['Incomplete', troubles.incomplete, `${count(troubles.failed)} set aside`],
    ['AWBs at risk', troubles.risk, 'within 2 h, or late'],
    ['AWBs not taken', troubles.parked, `${count(troubles.unmatched)} without an order`],
    [
      'Changes of parcels, 24 h',
      Object.values(overview.tracking.parcels.changes).reduce((sum, one) => sum + one, 0),
      `${count(overview.tracking.parcels.changes.delivered ?? 0)} delivered`,
    ],
  ];
  return (
    <dl class="figures" id="figures" data-live="">
      {figures.map(([name, number, more]) => (
        <div>
          <dt>{name}</dt>
          <dd>
            {count(number)} <small>{more}</small>
          </dd>
        </div>
      ))}
    </dl>
  );
};

/** More than this nobody reads at once. */
const MOST_MATTERS = 8;

export const Matters = ({ matters }: { matters: readonly Matter[] }) => (
  <Panel id="matters" title="Needs a person" still>
    <ul class="matters">
      {matters.slice(0, MOST_MATTERS).map((one) => (
        <MatterLine {...one} />
      ))}
    </ul>
    {matters.length > MOST_MATTERS ? (
      <details id="more-matters">
        <summary>{matters.length - MOST_MATTERS} more</summary>
        <ul class="matters">
          {matters.slice(MOST_MATTERS).map((one) => (
            <MatterLine {...one} />
          ))}
        </ul>
      </details>
    ) : null}
  </Panel>
);

const MatterLine = ({ urgency, what, todo, command, link }: Matter) => (
  <li>
    <Tag tone={urgency === 'act' ? 'bad' : 'warn'}>{urgency}</Tag>
    <div>
      <p class="what">
        <Said>{what}</Said>
      </p>
      <p class="todo">
        <Said>{todo}</Said> {command ? <code>{command}</code> : null}
      </p>
    </div>
    <p class="go">{link ? <a href={link.href}>{link.text}</a> : null}</p>
  </li>
);
