import type { StoreOverview } from '../../temu/overview.ts';
import { Ago, Button, Buttons, Cell, count, Heads, Panel, Table, Tag } from './parts.tsx';

/** Beyond so many, the rest is folded away: those in trouble come first. */
const SHOWN = 12;

export const Stores = ({ stores, now }: { stores: readonly StoreOverview[]; now: number }) => {
  const sorted = stores.toSorted((a, b) => rank(a) - rank(b) || a.name.localeCompare(b.name, 'en'));
  const [first, rest] = [sorted.slice(0, SHOWN), sorted.slice(SHOWN)];
  return (
    <Panel
      id="stores"
      title="Stores"
      aside={
        stores.length > SHOWN ? `${count(stores.length)}, those in trouble first` : 'read every five minutes'
      }
    >
      {stores.length === 0 ? (
        <p class="none">
          No store yet. Add one: <code>orderfleet store add --help</code>
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

/** Paused, not readable, with orders set aside or incomplete; then the others. */
const rank = ({ active, reading, inbox }: StoreOverview): number =>
  !active ? 0 : reading?.error ? 1 : inbox.failed > 0 ? 2 : inbox.incomplete > 0 ? 3 : 4;

const HEAD = [
  'Store',
  'State',
  'Read up to',
  '#Last window',
  '#Open orders',
  '#In work',
  '#Incomplete',
  '#Set aside',
  '',
];

const StoreTable = ({ stores, now }: { stores: readonly StoreOverview[]; now: number }) => (
  <Buttons>
    <Table label="Stores" head={<Heads of={HEAD} />}>
      {stores.map((store) => (
        <tr>
          <th scope="row" class="name">
            <bdi>{store.name}</bdi> <span class="zero keep">{`${store.region} · ${store.country}`}</span>
          </th>
          <td>
            <State {...store} />
          </td>
          <td class="keep">
            <Ago at={store.lastSyncedAt} now={now} />
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
      <Button does="sync" of={name} label={`Read ${name} now`}>
        read now
      </Button>{' '}
      <Button does="pause" of={name} label={`Pause ${name}`}>
        pause
      </Button>
    </>
  ) : (
    <Button does="resume" of={name} label={`Resume ${name}`}>
      resume
    </Button>
  );

const State = ({ active, reading }: StoreOverview) => {
  if (!active) return <Tag tone="bad">paused</Tag>;
  if (reading?.error) return <Tag tone="warn">not readable</Tag>;
  return reading ? <Tag>reading</Tag> : <Tag tone="ok">on</Tag>;
};

/** T3: what was stored of what Temu said is there. */
const LastWindow = ({ lastWindow }: StoreOverview) =>
  lastWindow ? (
    <td class={`num ${lastWindow.stored < lastWindow.expected ? 'bad' : ''}`}>
      {count(lastWindow.stored)} of {count(lastWindow.expected)}
    </td>
  ) : (
    <td class="num zero">–</td>
  );
