import type { Timelines } from '../../ops/explain.ts';
import type { Buyer } from '../../orders/buyer.ts';
import type { OrderTimeline } from '../../orders/timeline.ts';
import { SearchBox } from './orders.tsx';
import { Fact, Parcels, Tracking, toneOf } from './parcel.tsx';
import { At, HeaderCells, Panel, RelativeTime, Table, Tag, UserText, utc } from './parts.tsx';

export interface TimelineData {
  number: string;
  timelines: Timelines;
  /** T18: null when the user may not see them. */
  buyers: readonly Buyer[] | null;
  now: number;
}

/** Everything about a number: what `explain` prints, and the buyer for users with `write` (T18). */
export const TimelinePage = ({ number, timelines, buyers, now }: TimelineData) => (
  <>
    <div class="title">
      <h1 class="id">
        <UserText>{number}</UserText>
      </h1>
      <a href="/orders">All orders that need attention</a>
    </div>
    {timelines.warnings.map((warning) => (
      <p class="because warn">
        <UserText>{warning}.</UserText>
      </p>
    ))}
    {timelines.orders.map((order, nth) => (
      <Order order={order} buyers={buyers} nth={nth} now={now} />
    ))}
    {timelines.parcels.length > 0 ? <Parcels parcels={timelines.parcels} /> : null}
    {timelines.tracking.map((timeline, nth) => (
      <Tracking timeline={timeline} nth={nth} now={now} />
    ))}
  </>
);

/** Why nothing is found, and what to do. */
export const UnknownNumberPage = ({ number }: { number: string }) => (
  <>
    <h1>Not found</h1>
    <p class="because">
      No order or parcel has the number <code dir="auto">{number}</code>.
    </p>
    <ul class="because">
      <li>Is the number complete, as Temu or the courier writes it?</li>
      <li>
        Is its store added and synced? The <a href="/#stores">overview</a> shows when each store was last
        synced.
      </li>
      <li>
        Parcels of other channels come from the shipping app or from <code>orderfleet shipments import</code>.
      </li>
    </ul>
    <SearchBox number={number} />
  </>
);

/** A time, relative and in UTC. */
const Time = ({ at, now }: { at: Date; now: number }) => (
  <>
    <RelativeTime at={at} now={now} /> <span class="muted">{utc(at)}</span>
  </>
);

const Order = ({
  order,
  buyers,
  nth,
  now,
}: Omit<TimelineData, 'number' | 'timelines'> & { order: OrderTimeline; nth: number }) => {
  const { marketplaceOrderId: number, store, status, because, facts, products, openErrors, events } = order;
  const buyer = buyers?.find((one) => one.number === number && one.store === store);
  return (
    <div class="columns" id={`order-${nth}`} data-live="">
      <div class="stack">
        <Panel
          id={`order-${nth}-what`}
          title={`Order ${number}`}
          aside={<Tag tone={toneOf(status)}>{status}</Tag>}
          still
        >
          <p class="because">
            <UserText>{because}</UserText>
          </p>
          {openErrors.map((error) => (
            <p class="bad">
              <UserText>{error}</UserText>
            </p>
          ))}
          <dl class="facts">
            <Fact name="store">{store ?? 'none (another channel)'}</Fact>
            {Object.entries(facts).map(([name, value]) => (
              <Fact name={name}>
                {value instanceof Date ? <Time at={value} now={now} /> : (value ?? '–')}
              </Fact>
            ))}
          </dl>
          {products.length > 0 ? <Products products={products} /> : null}
        </Panel>
        <BuyerPanel id={`order-${nth}-buyer`} buyer={buyer} hidden={buyers === null} now={now} />
      </div>
      <Panel id={`order-${nth}-events`} title="Timeline" aside="times in UTC" still>
        <ol class="events">
          {events.map(({ at, what }) => (
            <li>
              <At at={at} />
              <UserText>{what}</UserText>
            </li>
          ))}
        </ol>
      </Panel>
    </div>
  );
};

const Products = ({ products }: Pick<OrderTimeline, 'products'>) => (
  <Table label="Products" head={<HeaderCells of={['#Quantity', '#Price', 'SKU', 'Temu SKU', 'Title']} />}>
    {products.map((one) => (
      <tr>
        <td class="num">{one.quantity}</td>
        <td class="num">{one.price ?? '–'}</td>
        <td class="id keep">{one.sku ?? <span class="warn">none</span>}</td>
        <td class="id keep">{one.temuSkuId ?? '–'}</td>
        <td class="wide">
          <UserText>{one.title ?? '–'}</UserText>
        </td>
      </tr>
    ))}
  </Table>
);

/** T18: the only place where personal data is shown. */
const BuyerPanel = ({
  id,
  buyer,
  hidden,
  now,
}: {
  id: string;
  buyer: Buyer | undefined;
  hidden: boolean;
  now: number;
}) => {
  if (hidden)
    return (
      <Panel id={id} title="Buyer" still>
        <p class="none">Hidden: read-only users do not see buyer data.</p>
      </Panel>
    );
  if (!buyer) return null;
  const { name, phone, mail, address, erasedAt } = buyer;
  if (erasedAt && !name && !phone && !mail)
    return (
      <Panel id={id} title="Buyer" still>
        <p class="none">
          Erased on {utc(erasedAt).slice(0, 10)} (<RelativeTime at={erasedAt} now={now} />) after the
          retention period.
        </p>
      </Panel>
    );
  return (
    <Panel id={id} title="Buyer" aside="Personal data – do not share" still>
      <dl class="facts">
        <Fact name="name">{name ?? 'unknown'}</Fact>
        <Fact name="phone">{phone ?? 'unknown'}</Fact>
        <Fact name="email">{mail ?? 'unknown'}</Fact>
        <Fact name="address">
          {address.length === 0
            ? 'unknown'
            : address.map((line, nth) => (
                <>
                  {nth > 0 ? <br /> : null}
                  {line}
                </>
              ))}
        </Fact>
      </dl>
    </Panel>
  );
};
