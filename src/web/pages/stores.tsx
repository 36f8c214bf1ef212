import type { StoreOverview } from '../../temu/overview.ts';
import { Button, Buttons, Cell, count, HeaderCells, Panel, RelativeTime, Table, Tag } from './parts.tsx';

/** Stores shown at once, those with problems first; the rest is folded away. */
const SHOWN = 12;

export const Stores = ({ stores, now }: { stores: readonly StoreOverview[]; now: number }) => {
  const sorted = stores.toSorted((a, b) => rank(a) - rank(b) || a.name.localeCompare(b.name, 'en'));
  const [first, rest] = [sorted.slice(0, SHOWN), sorted.slice(SHOWN)];
  return (
    <Panel
      id="stores"
      title="Stores"
      aside={
        stores.length > SHOWN
          ? `${count(stores.length)}, those with problems first`
          : 'synced every five minutes'
      }
    >
      {stores.length === 0 ? (
        <p class="none">
          No stores yet. Add one: <code>orderfleet store add --help</code>
        </p>
      ) : (
        <StoreTable stores={first} now={now} />
      )}
      {rest.length > 0 ? (
        <details id="more-stores">
          <summary>{count(rest.length)} more</summary>
          <StoreTable stores={rest} now={now} />
        </details>
      ) : null}
    </Panel>
  );
};

/** Paused, failing to sync, with orders not saved or incomplete; then the others. */
const rank = ({ active, reading, inbox }: StoreOverview): number =>
  !active ? 0 : reading?.error ? 1 : inbox.failed > 0 ? 2 : inbox.incomplete > 0 ? 3 : 4;

const HEAD = [
  'Store',
  'State',
  'Last synced',
  '#Last window',
  '#Open orders',
  '#Fetching',
  '#Incomplete',
  '#Not saved',
  '',
];

const StoreTable = ({ stores, now }: { stores: readonly StoreOverview[]; now: number }) => (
  <Buttons>
    <Table label="Stores" head={<HeaderCells of={HEAD} />}>
      {stores.map((store) => (
        <tr>
          <th scope="row" class="name">
            <bdi>{store.name}</bdi> <span class="zero keep">{`${store.region} · ${store.country}`}</span>
          </th>
          <td>
            <State {...store} />
          </td>
          <td class="keep">
            <RelativeTime at={store.lastSyncedAt} now={now} />
          </td>
          <LastWindow {...store} />
          <Cell of={Object.values(store.orders).reduce((sum, one) => sum + one, 0)} />
          <Cell of={store.inbox.waiting} />
          <Cell of={store.inbox.incomplete} tone="warn" />
          <Cell of={store.inbox.failed} tone="bad" />
          <td class="keep">
            <StoreButtons {...store} />
          </td>
        </tr>
      ))}
    </Table>
  </Buttons>
);

const StoreButtons = ({ name, active }: StoreOverview) =>
  active ? (
    <>
      <Button does="sync" of={name} label={`Sync ${name} now`}>
        Sync now
      </Button>{' '}
      <Button does="pause" of={name} label={`Pause ${name}`}>
        Pause
      </Button>
    </>
  ) : (
    <Button does="resume" of={name} label={`Resume ${name}`}>
      Resume
    </Button>
  );

const State = ({ active, reading }: StoreOverview) => {
  if (!active) return <Tag tone="bad">paused</Tag>;
  if (reading?.error) return <Tag tone="warn">sync failing</Tag>;
  return reading ? <Tag>syncing</Tag> : <Tag tone="ok">active</Tag>;
};

/** T3: orders stored, of those that Temu counted. */
const LastWindow = ({ lastWindow }: StoreOverview) =>
  lastWindow ? (
    <td class={`num ${lastWindow.stored < lastWindow.expected ? 'bad' : ''}`}>
      {count(lastWindow.stored)} of {count(lastWindow.expected)}
    </td>
  ) : (
    <td class="num zero">–</td>
  );
