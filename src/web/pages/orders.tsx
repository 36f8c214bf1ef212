import {
  ATTENTION_LISTS,
  type AttentionCounts,
  type AttentionEntry,
  type AttentionList,
} from '../../orders/attention.ts';
import { RETRY_AT_ONCE } from '../../temu/awb/index.ts';
import {
  Button,
  Buttons,
  Countdown,
  count,
  HeaderCells,
  Panel,
  RelativeTime,
  Table,
  TimelineLink,
  UserText,
} from './parts.tsx';

/** Rows per page. */
export const PAGE_ROWS = 50;

const LISTS: Record<AttentionList, { tab: string; title: string; none: string; at: string }> = {
  risk: {
    ...{ tab: 'At risk', title: 'Due to ship within two hours or overdue, with no AWB on Temu' },
    ...{ none: 'No order is at risk.', at: 'Ship by' },
  },
  parked: {
    ...{ tab: 'AWB rejected', title: 'AWBs that Temu rejected, last 30 days' },
    ...{ none: 'Temu has accepted every AWB.', at: 'Ship by' },
  },
  failed: {
    ...{ tab: 'Not saved', title: 'Orders that could not be saved, last 30 days' },
    ...{ none: 'Every order was saved.', at: 'Received' },
  },
  incomplete: {
    ...{ tab: 'Incomplete', title: 'Orders with a missing price or address' },
    ...{ none: 'Every order is complete.', at: 'Since' },
  },
  errors: {
    ...{ tab: 'Open errors', title: 'Orders with an unresolved error' },
    ...{ none: 'No order has an error.', at: 'Since' },
  },
  unmatched: {
    ...{ tab: 'AWB without order', title: 'AWBs with no matching order after a day, last 30 days' },
    ...{ none: 'Every AWB has its order.', at: 'Received' },
  },
};

export interface OrdersData {
  show: AttentionList;
  /** From 1. */
  page: number;
  counts: AttentionCounts;
  rows: readonly AttentionEntry[];
  /** Only errors that begin with this; undefined: all. */
  errors?: { says: string; total: number } | undefined;
  now: number;
}

/** The beginning of a long error identifies it. */
const LONGEST_SAYS = 200;
/** URL of the list of orders with an error. */
export const errorsHref = (message: string) =>
  hrefOf('errors', { says: [...message].slice(0, LONGEST_SAYS).join('') });

const hrefOf = (show: AttentionList, more: Record<string, string>) =>
  `/orders?${new URLSearchParams({ show, ...more })}`;

/** Orders that need attention, by reason, and a search. */
export const OrdersPage = ({ show, page, counts, rows, errors, now }: OrdersData) => (
  <>
    <h1>Orders</h1>
    <SearchBox />
    <nav class="tabs" id="tabs" data-live="" aria-label="Reason">
      {ATTENTION_LISTS.map((trouble) => (
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
    <button type="submit">Look up</button>
  </form>
);

const RetryAll = ({ total }: { total: number }) => (
  <Buttons>
    <Button does="retryFailed" of="all">
      Retry {total > RETRY_AT_ONCE ? `the first ${RETRY_AT_ONCE}` : 'all'}
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
          With the error <UserText>“{errors.says}”</UserText> ·{' '}
          <a href={hrefOf('errors', {})}>See all errors</a>
        </p>
      ) : null}
      {rows.length === 0 ? (
        <p class="none">{page > 1 ? 'No more orders.' : none}</p>
      ) : (
        <Table
          label={title}
          head={<HeaderCells of={[at, show === 'unmatched' ? 'AWB' : 'Order', 'Store', 'AWB', 'Why']} />}
        >
          {rows.map((row) => (
            <tr>
              <td class="keep">
                {show === 'risk' && row.at ? (
                  <Countdown until={row.at} now={now} />
                ) : (
                  <RelativeTime at={row.at} now={now} />
                )}
              </td>
              <td class="keep">
                <TimelineLink number={row.number} />
              </td>
              <td class="name">
                <UserText>{row.store ?? '–'}</UserText>
              </td>
              <td class="id keep">{row.awbNumber ?? '–'}</td>
              <td class="wide">
                <UserText>{row.why ?? 'unknown reason'}</UserText>
              </td>
            </tr>
          ))}
        </Table>
      )}
      {page > 1 || total > page * PAGE_ROWS ? (
        <nav class="pages" aria-label="Pages">
          {page > 1 ? <a href={pageHref(page - 1)}>Previous</a> : null}
          <span class="muted">
            Page {page} of {Math.max(page, Math.ceil(total / PAGE_ROWS))}
          </span>
          {total > page * PAGE_ROWS ? <a href={pageHref(page + 1)}>Next</a> : null}
        </nav>
      ) : null}
    </Panel>
  );
};
