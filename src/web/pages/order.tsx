import type { Stories } from '../../stories.ts';
import type { Buyer } from '../../temu/orders/buyer.ts';
import type { OrderStory } from '../../temu/orders/story.ts';
import { SearchBox } from './orders.tsx';
import { Fact, Parcels, Tracking, toneOf } from './parcel.tsx';
import { Ago, At, Heads, Panel, Said, Table, Tag, utc } from './parts.tsx';

export interface StoryData {
  number: string;
  stories: Stories;
  /** T18: null where the user may not see them. */
  buyers: readonly Buyer[] | null;
  now: number;
}

/** All that is known under a number: what `explain` prints, and for those who may the buyer (T18). */
export const StoryPage = ({ number, stories, buyers, now }: StoryData) => (
  <>
    <div class="title">
      <h1 class="id">
        <Said>{number}</Said>
      </h1>
      <a href="/orders">All that need a person</a>
    </div>
    {stories.orders.map((order, nth) => (
      <Order order={order} buyers={buyers} nth={nth} now={now} />
    ))}
    {stories.parcels.length > 0 ? <Parcels parcels={stories.parcels} /> : null}
    {stories.tracking.map((story, nth) => (
      <Tracking story={story} nth={nth} now={now} />
    ))}
  </>
);

/** Why there is no story, and what to do. */
export const UnknownNumberPage = ({ number }: { number: string }) => (
  <>
    <h1>No such number</h1>
    <p class="because">
      Neither an order nor a parcel <code dir="auto">{number}</code> is known here.
    </p>
    <ul class="because">
      <li>Is the number complete, as Temu or the courier writes it?</li>
      <li>
        Is its store added and synced? The <a href="/#stores">overview</a> shows up to when each store has
        been read.
      </li>
      <li>
        Parcels of other channels come in by the shipping app or by <code>orderfleet shipments import</code>.
      </li>
    </ul>
    <SearchBox number={number} />
  </>
);

/** Times as people read them; the rest as it is. */
const Value = ({ of, now }: { of: string | number | null; now: number }) => {
  if (typeof of !== 'string' || !/^\d{4}-\d\d-\d\dT[\d:.]+Z$/.test(of)) return <>{of ?? '–'}</>;
  const at = new Date(of);
  return (
    <>
      <Ago at={at} now={now} /> <span class="muted">{utc(at)}</span>
    </>
  );
};

const Order = ({
  order,
  buyers,
  nth,
  now,
}: Omit<StoryData, 'number' | 'stories'> & { order: OrderStory; nth: number }) => {
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
            <Said>{because}</Said>
          </p>
          {openErrors.map((error) => (
            <p class="bad">
              <Said>{error}</Said>
            </p>
          ))}
          <dl class="facts">
            <Fact name="store">{store ?? 'none: of another channel'}</Fact>
            {Object.entries(facts).map(([name, value]) => (
              <Fact name={name}>
                <Value of={value} now={now} />
              </Fact>
            ))}
          </dl>
          {products.length > 0 ? <Products products={products} /> : null}
        </Panel>
        <BuyerPanel id={`order-${nth}-buyer`} buyer={buyer} hidden={buyers === null} now={now} />
      </div>
      <Panel id={`order-${nth}-events`} title="What happened" aside="times in UTC" still>
        <ol class="events">
          {events.map(({ at, what }) => (
            <li>
              <At at={at} />
              <Said>{what}</Said>
            </li>
          ))}
        </ol>
      </Panel>
    </div>
  );
};

const Products = ({ products }: Pick<OrderStory, 'products'>) => (
  <Table label="Products" head={<Heads of={['#Quantity', '#Price', 'SKU', 'Temu SKU', 'Title']} />}>
    {products.map((one) => (
      <tr>
        <td class="num">{one.quantity}</td>
        <td class="num">{one.price ?? '–'}</td>
        <td class="id keep">{one.sku ?? <span class="warn">none</span>}</td>
        <td class="id keep">{one.temuSkuId ?? '–'}</td>
        <td class="wide">
          <Said>{one.title ?? '–'}</Said>
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
        <p class="none">Hidden: only users who may change things see who the buyer is.</p>
      </Panel>
    );
  if (!buyer) return null;
  const { name, phone, mail, address, erasedAt } = buyer;
  if (erasedAt && !name && !phone && !mail)
    return (
      <Panel id={id} title="Buyer" still>
        <p class="none">
          Erased on {utc(erasedAt).slice(0, 10)} (<Ago at={erasedAt} now={now} />
          ), the set number of days after the order’s end.
        </p>
      </Panel>
    );
  return (
    <Panel id={id} title="Buyer" aside="personal data: pass it on to nobody" still>
      <dl class="facts">
        <Fact name="name">{name ?? 'not known'}</Fact>
        <Fact name="phone">{phone ?? 'not known'}</Fact>
        <Fact name="mail">{mail ?? 'not known'}</Fact>
        <Fact name="address">
          {address.length === 0
            ? 'not known'
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
