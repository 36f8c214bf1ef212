import { createHash } from 'node:crypto';
import pLimit from 'p-limit';
import postgres from 'postgres';
import { Pool } from 'undici';
import { answerParent } from '../support/child.ts';

// A bare loop over Temu's orders: the same calls, the same values into tables of its own, an order in one statement.

export type OrdersMessage = { do: 'prepare'; temu: string; databaseUrl: string } | { do: 'read' };

const PAGE = 100;
const AT_ONCE = 50;

let temu: Pool | undefined;
let sql = postgres({ max: 0 });

async function prepare(message: OrdersMessage & { do: 'prepare' }): Promise<void> {
  temu = new Pool(message.temu, { connections: AT_ONCE });
  sql = postgres(message.databaseUrl, { max: 10, onnotice: () => {} });
  await sql.unsafe(`
    create table inbox (sn text primary key, changed_at timestamptz not null, item jsonb not null, done boolean not null default false);
    create table bought (
      sn text primary key, status int not null, ship_by timestamptz, changed_at timestamptz, total numeric(14, 2),
      subtotal numeric(14, 2), shipping numeric(14, 2), vat numeric(14, 2), discount numeric(14, 2), currency text,
      buyer text, phone text, mail text, street text, city text, state text, country text, post_code text);
    create index bought_ship_by on bought (ship_by);
    create table bought_lines (
      sn text primary key, bought text not null references bought (sn), goods_id text, title text, sku_id text,
      quantity int not null, price numeric(14, 2), status int);
    create index bought_lines_bought on bought_lines (bought)`);
}

/** Signed like a request to Temu. */
async function call<T>(host: string, type: string, params: Record<string, unknown>): Promise<T> {
  const all: Record<string, unknown> = {
    ...{ type, app_key: 'key-of-the-bench', access_token: 'token-of-the-bench', data_type: 'JSON' },
    timestamp: Math.floor(Date.now() / 1000),
    ...params,
  };
  const text = Object.keys(all)
    .sort()
    .map((key) => `${key}${typeof all[key] === 'string' ? all[key] : JSON.stringify(all[key])}`)
    .join('');
  const secret = 'secret-of-the-bench';
  const sign = createHash('md5').update(`${secret}${text}${secret}`).digest('hex').toUpperCase();
  if (!temu) throw new Error('not prepared');
  const { body } = await temu.request({
    method: 'POST',
    path: `/${host}/openapi/router`,
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ ...all, sign }),
  });
  const answer = (await body.json()) as { success: boolean; result: { success?: boolean; result?: T } & T };
  if (!answer.success || answer.result.success === false)
    throw new Error(`${type}: ${JSON.stringify(answer)}`);
  return answer.result.success === undefined ? answer.result : (answer.result.result as T);
}

interface Line {
  orderSn: string;
  goodsId: number;
  goodsName: string;
  skuId: number;
  originalOrderQuantity: number;
  orderStatus: number;
}
interface ListItem {
  parentOrderMap: {
    parentOrderSn: string;
    parentOrderStatus: number;
    updateTime: number;
    expectShipLatestTime: number | null;
  };
  orderList: Line[];
}
interface Money {
  amount: number | null;
  currency: string;
}
interface Amounts {
  parentOrderMap: Record<
    | 'taxTotalAfterDiscount'
    | 'estimatedRevenue'
    | 'basePriceTotal'
    | 'shippingAmountTotal'
    | 'discountFromTEMU'
    | 'discountFromSeller',
    Money
  >;
  orderList: { orderSn: string; unitBasePrice: Money }[];
}
type Address = Record<
  | 'receiptName'
  | 'mobile'
  | 'mail'
  | 'addressLine1'
  | 'regionName1'
  | 'regionName2'
  | 'regionName3'
  | 'postCode',
  string | null
>;

const MINOR: Record<string, number> = { JPY: 1, KRW: 1 };
const major = ({ amount, currency }: Money) => (amount === null ? null : amount / (MINOR[currency] ?? 100));
const time = (seconds: number | null) => (seconds === null ? null : new Date(seconds * 1000).toISOString());

async function page(pageNumber: number, window: { start: number; end: number }) {
  return await call<{ totalItemNum: number; pageItems: ListItem[] }>('eu', 'bg.order.list.get', {
    ...{ pageNumber, pageSize: PAGE, updateAtStart: window.start, updateAtEnd: window.end },
  });
}

async function read(): Promise<void> {
  const end = Math.floor(Date.now() / 1000);
  const window = { start: end - 90 * 86_400, end };
  const { totalItemNum } = await page(1, window);
  const limit = pLimit(AT_ONCE);
  const orders: Promise<void>[] = [];
  for (let number = Math.ceil(totalItemNum / PAGE); number >= 1; number--) {
    const { pageItems } = await page(number, window);
    const rows = pageItems.map((item) => ({
      ...{ sn: item.parentOrderMap.parentOrderSn, changed_at: time(item.parentOrderMap.updateTime), item },
    }));
    await sql`
      insert into inbox (sn, changed_at, item)
      select * from jsonb_to_recordset(${sql.json(rows as never)}) as r(sn text, changed_at timestamptz, item jsonb)`;
    for (const item of pageItems) orders.push(limit(complete, item));
  }
  await Promise.all(orders);
}

async function complete({ parentOrderMap: order, orderList }: ListItem): Promise<void> {
  const sn = order.parentOrderSn;
  const [{ parentOrderMap: sums, orderList: prices }, address] = await Promise.all([
    call<Amounts>('global', 'bg.order.amount.query', { parentOrderSn: sn }),
    call<Address>('eu', 'bg.order.shippinginfo.get', { parentOrderSn: sn }),
  ]);
  const priceOf = new Map(prices.map(({ orderSn, unitBasePrice }) => [orderSn, major(unitBasePrice)]));
  const lines = orderList.map((line) => ({
    ...{
      sn: line.orderSn,
      goods_id: String(line.goodsId),
      title: line.goodsName,
      sku_id: String(line.skuId),
    },
    ...{ quantity: line.originalOrderQuantity, price: priceOf.get(line.orderSn), status: line.orderStatus },
  }));
  const discount = (major(sums.discountFromTEMU) ?? 0) + (major(sums.discountFromSeller) ?? 0);
  await sql`
    with made as (
      insert into bought values (${sn}, ${order.parentOrderStatus}, ${time(order.expectShipLatestTime)},
        ${time(order.updateTime)}, ${major(sums.estimatedRevenue)}, ${major(sums.basePriceTotal)},
        ${major(sums.shippingAmountTotal)}, ${major(sums.taxTotalAfterDiscount)}, ${discount},
        ${sums.basePriceTotal.currency}, ${address.receiptName}, ${address.mobile}, ${address.mail},
        ${address.addressLine1}, ${address.regionName3}, ${address.regionName2}, ${address.regionName1},
        ${address.postCode})),
    lines as (
      insert into bought_lines (sn, bought, goods_id, title, sku_id, quantity, price, status)
      select sn, ${sn}, goods_id, title, sku_id, quantity, price, status
      from jsonb_to_recordset(${sql.json(lines as never)}) as l(sn text, goods_id text, title text, sku_id text, quantity int, price numeric, status int))
    update inbox set done = true where sn = ${sn}`;
}

answerParent(async (message: OrdersMessage) => {
  if (message.do === 'prepare') return await prepare(message);
  const startedAt = performance.now();
  await read();
  return { ms: performance.now() - startedAt };
});
