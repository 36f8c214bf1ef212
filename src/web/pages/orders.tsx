import { RETRY_AT_ONCE } from '../../temu/awb/index.ts';
import { TROUBLES, type Trouble, type TroubleCounts, type Troubled } from '../../temu/trouble.ts';
import { Ago, Button, Buttons, count, Heads, Left, Panel, Said, StoryLink, Table } from './parts.tsx';

/** Rows of one page of a list. */
export const PAGE_ROWS = 50;

const LISTS: Record<Trouble, { tab: string; title: string; none: string; at: string }> = {
  risk: {
    ...{ tab: 'At risk', title: 'Ship-by within two hours or just past, and Temu has no AWB' },
    ...{ none: 'No order is at risk.', at: 'Ship by' },
  },
  parked: {
    ...{ tab: 'AWB not taken', title: 'AWBs that Temu did not take, of the last 30 days' },
    ...{ none: 'Temu has taken every AWB.', at: 'Ship by' },
  },
  failed: {
    ...{ tab: 'Set aside', title: 'Orders that could not be stored, of the last 30 days' },
    ...{ none: 'No order was set aside.', at: 'Came in' },
  },
  incomplete: {
    ...{ tab: 'Incomplete', title: 'Orders of which a price or an address is missing' },
    ...{ none: 'Every order is complete.', at: 'Since' },
  },
  errors: {
    ...{ tab: 'Open errors', title: 'Orders with an error that is not mended' },
    ...{ none: 'No order has an error.', at: 'Since' },
  },
  unmatched: {
    ...{ tab: 'AWB without order', title: 'AWBs whose order has not come within a day, of the last 30 days' },
    ...{ none: 'Every AWB has its order.', at: 'Came in' },
  },
};

export interface OrdersData {
  show: Trouble;
  /** From 1. */
  page: number;
  counts: TroubleCounts;
  rows: readonly Troubled[];
  /** With how the error begins that they all have; undefined: whatever they have. */
  errors?: { says: string; total: number } | undefined;
  now: number;
}

/** Of a long error the beginning is enough to find it by. */
const LONGEST_SAYS = 200;
/** The list of the orders that have an error. */
export const errorsHref = (message: string) =>
  hrefOf('errors', { says: [...message].slice(0, LONGEST_SAYS).join('') });

const hrefOf = (show: Trouble, more: Record<string, string>) =>
  `/orders?${new URLSearchParams({ show, ...more })}`;

/** Orders that need a person, by why; and the way to the story of any other. */
export const OrdersPage = ({ show, page, counts, rows, errors, now }: OrdersData) => (
  <>
    <h1>Orders</h1>
    <SearchBox />
    <nav class="tabs" id="tabs" data-live="" aria-label="Why they need a person">
      {TROUBLES.map((trouble) => (
        <a href={`/orders?show=${trouble}`} aria-current={trouble === show ? 'page' : undefined}>
          {LISTS[trouble].tab} <span class={counts[trouble] > 0 ? '' : 'zero'}>{count(counts[trouble])}</span>
        </a>
      ))}
    </nav>
    <List {...{ show, page, rows, errors, now }} total={errors?.total ?? counts[show]} />
  </>
);

export const SearchBox = ({ number = '' }: { number?: string }) => (
  <form class="search" action="/orders" method="get">
    <input
      type="search"
      name="q"
      value={number}
      aria-label="Order, AWB or LR number"
      placeholder="Order, AWB or LR number, e.g. PO-076-13925293151271879"
      maxlength={100}
      autocomplete="off"
      spellcheck={false}
      required
    />
    <button type="submit">Find its story</button>
  </form>
);

const RetryAll = ({ total }: { total: number }) => (
  <Buttons>
    <Button does="retryFailed" of="all">
      try {total > RETRY_AT_ONCE ? `the first ${RETRY_AT_ONCE}` : 'all'} again
    </Button>
  </Buttons>
);

const List = ({ show, page, rows, errors, now, total }: Omit<OrdersData, 'counts'> & { total: number }) => {
  const { title, none, at } = LISTS[show];
  const pageHref = (page: number) =>
    hrefOf(show, { ...(errors ? { says: errors.says } : {}), page: String(page) });
  return (
    <Panel id="list" title={title} aside={show === 'parked' && total > 0 ? <RetryAll total={total} /> : null}>
      {errors ? (
        <p>
          Those with <Said>“{errors.says}”</Said> · <a href={hrefOf('errors', {})}>all errors</a>
        </p>
      ) : null}
      {rows.length === 0 ? (
        <p class="none">{page > 1 ? 'There is nothing more.' : none}</p>
      ) : (
        <Table
          label={title}
          head={<Heads of={[at, show === 'unmatched' ? 'AWB' : 'Order', 'Store', 'AWB', 'Why']} />}
        >
          {rows.map((row) => (
            <tr>
              <td class="keep">
                {show === 'risk' && row.at ? (
                  <Left until={row.at} now={now} />
                ) : (
                  <Ago at={row.at} now={now} />
                )}
              </td>
              <td class="keep">
                <StoryLink number={row.number} />
              </td>
              <td class="name">
                <Said>{row.store ?? '–'}</Said>
              </td>
              <td class="id keep">{row.awbNumber ?? '–'}</td>
              <td class="wide">
                <Said>{row.why ?? 'no reason is known'}</Said>
              </td>
            </tr>
          ))}
        </Table>
      )}
      {page > 1 || total > page * PAGE_ROWS ? (
        <nav class="pages" aria-label="Pages">
          {page > 1 ? <a href={pageHref(page - 1)}>Previous</a> : null}
          <span class="muted">
            page {page} of {Math.max(page, Math.ceil(total / PAGE_ROWS))}
          </span>
          {total > page * PAGE_ROWS ? <a href={pageHref(page + 1)}>Next</a> : null}
        </nav>
      ) : null}
    </Panel>
  );
};
