import { plural } from '../../lib/plural.ts';
import type { AttentionItem, OverviewData } from './overview-data.ts';
import { count, Panel, RelativeTime, Tag, UserText, utc } from './parts.tsx';

/** The state of the fleet in one line. */
export const Headline = ({ headline, overview, now }: OverviewData) => {
  const synced = overview.stores.flatMap(({ lastSyncedAt }) => lastSyncedAt ?? []);
  const latest = synced.sort((a, b) => b.getTime() - a.getTime())[0] ?? null;
  const { followed, lastChangeAt } = overview.tracking.parcels;
  const parcels = Object.values(followed).reduce((sum, one) => sum + one, 0);
  return (
    <section class={`verdict ${headline.tone}`} id="verdict" data-live="" aria-labelledby="verdict-title">
      <h1 id="verdict-title">
        <span aria-hidden="true">
          {headline.tone === 'ok' ? '✓ ' : headline.tone === 'warn' ? '● ' : '▲ '}
        </span>
        {headline.text}
      </h1>
      <p>
        {plural(overview.stores.length, 'store')}
        {latest ? (
          <>
            , last synced <RelativeTime at={latest} now={now} />
          </>
        ) : null}
        {' · '}
        {plural(parcels, 'parcel')} in transit
        {lastChangeAt ? (
          <>
            , last update <RelativeTime at={lastChangeAt} now={now} />
          </>
        ) : null}
      </p>
      <p class="fresh" role="status">
        as of {utc(new Date(now)).slice(11)}
      </p>
    </section>
  );
};

/** The key figures. */
export const Figures = ({ overview, counts, history }: OverviewData) => {
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
      `${count(waiting)} being fetched`,
    ],
    [
      'To ship',
      (orders.get('Ready for Shipping') ?? 0) + (orders.get('Partially Shipped') ?? 0),
      `${count(orders.get('Pending') ?? 0)} pending`,
    ],
    ['Incomplete', counts.incomplete, `${count(counts.failed)} not saved`],
    ['AWBs at risk', counts.risk, 'due within 2 h or late'],
    ['AWBs rejected', counts.parked, `${count(counts.unmatched)} without an order`],
    [
      'Status changes, 24 h',
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

/** Items that are shown at once; the rest is folded away. */
const MOST_SHOWN = 8;

export const AttentionItems = ({ items }: { items: readonly AttentionItem[] }) => (
  <Panel id="attention" title="Needs attention" still>
    <ul class="attention">
      {items.slice(0, MOST_SHOWN).map((one) => (
        <AttentionLine {...one} />
      ))}
    </ul>
    {items.length > MOST_SHOWN ? (
      <details id="more-attention">
        <summary>{items.length - MOST_SHOWN} more</summary>
        <ul class="attention">
          {items.slice(MOST_SHOWN).map((one) => (
            <AttentionLine {...one} />
          ))}
        </ul>
      </details>
    ) : null}
  </Panel>
);

const AttentionLine = ({ severity, what, todo, command, link }: AttentionItem) => (
  <li>
    <Tag tone={severity === 'action' ? 'bad' : 'warn'}>{severity === 'action' ? 'action' : 'warning'}</Tag>
    <div>
      <p class="what">
        <UserText>{what}</UserText>
      </p>
      <p class="todo">
        <UserText>{todo}</UserText> {command ? <code>{command}</code> : null}
      </p>
    </div>
    <p class="go">{link ? <a href={link.href}>{link.text}</a> : null}</p>
  </li>
);
