import { Redis } from 'ioredis';
import postgres from 'postgres';
import { Pool } from 'undici';
import { answerParent } from '../support/child.ts';

// The least that could tell Temu of a parcel: an event from a list in Redis, or from a table with a notification, is written
// down and sent, as many at once as the fleet has. No claim, no retry, no quota.

export type AwbMessage =
  | { do: 'prepare'; temu: string; databaseUrl: string; redisUrl: string | undefined }
  | { do: 'forget' };

export interface BareEvent {
  awb: string;
  order: string;
}
export const LIST = 'bare-awb-events';
export const CHANNEL = 'bare_awb_events';

const AT_ONCE = 64;

let sql = postgres({ max: 0 });
let temu: Pool | undefined;

async function push({ awb, order }: BareEvent): Promise<void> {
  await sql`insert into told (awb, sn) values (${awb}, ${order})`;
  const { body } = await (temu as Pool).request({
    method: 'POST',
    path: '/eu/openapi/router',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({
      ...{ type: 'bg.logistics.shipment.v2.confirm', app_key: 'key', access_token: 'token', sendType: 0 },
      sendRequestList: [
        {
          orderSendInfoList: [{ parentOrderSn: order, orderSn: order, quantity: 1 }],
          ...{ trackingNumber: awb, carrierId: 1, warehouseId: 'WH-1' },
        },
      ],
    }),
  });
  const answer = (await body.json()) as { success: boolean };
  if (!answer.success) throw new Error(JSON.stringify(answer));
  await sql`update told set told_at = now() where awb = ${awb}`;
}

/** A worker blocks on the list with a connection of its own. */
async function takeFromRedis(redis: Redis): Promise<void> {
  for (;;) {
    const [, text] = (await redis.brpop(LIST, 0)) ?? [];
    if (text) await push(JSON.parse(text));
  }
}

const wake: (() => void)[] = [];
async function takeFromPostgres(): Promise<void> {
  for (;;) {
    const [event] = await sql<BareEvent[]>`
      delete from events where id = (select id from events order by id limit 1 for update skip locked)
      returning awb, "order"`;
    if (event) await push(event);
    else await new Promise<void>((resolve) => wake.push(resolve));
  }
}

async function prepare({ temu: url, databaseUrl, redisUrl }: AwbMessage & { do: 'prepare' }): Promise<void> {
  temu = new Pool(url, { connections: AT_ONCE });
  sql = postgres(databaseUrl, { max: 10, onnotice: () => {} });
  await sql.unsafe(`
    create table told (awb text primary key, sn text not null, taken_at timestamptz not null default now(), told_at timestamptz);
    create table events (id bigint generated always as identity primary key, awb text not null, "order" text not null)`);
  const fail = (error: unknown) => {
    console.error(error);
    process.exit(1);
  };
  if (redisUrl) {
    for (let at = 0; at < AT_ONCE; at++)
      takeFromRedis(new Redis(redisUrl, { maxRetriesPerRequest: null })).catch(fail);
    return;
  }
  await sql.listen(CHANNEL, () => {
    const [one] = wake.splice(0, 1);
    one?.();
  });
  for (let at = 0; at < AT_ONCE; at++) takeFromPostgres().catch(fail);
}

answerParent(async (message: AwbMessage) => {
  if (message.do === 'prepare') await prepare(message);
  else await sql`truncate told, events`;
});
