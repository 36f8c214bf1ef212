import pLimit from 'p-limit';
import postgres from 'postgres';
import { Pool } from 'undici';
import { answerParent } from '../support/child.ts';

// Two other ways to do a round of parcels, with tables of their own and nothing of Orderfleet.

export type TrackingMessage =
  | { do: 'prepare'; courier: string; databaseUrl: string; parcels: number; first: number }
  | { do: 'bare' | 'old' };

const BATCH = 50;
/** As many requests at once as the courier's file in src/ allows. */
const AT_ONCE = 10;
/** The old design: as many parcels in work. */
const WRITERS = 50;
/** … and as many wait for one of them before the next request is made. */
const WAITING = 100;

interface Shipment {
  AWB: string;
  Status: { Status: string; StatusType: string; StatusCode: string; StatusDateTime: string };
}
interface Told {
  awb: string;
  status: string;
  word: string;
  at: string;
}

let courier: { pool: Pool; path: string } | undefined;
let sql = postgres({ max: 0 });

async function prepare(message: TrackingMessage & { do: 'prepare' }): Promise<void> {
  const url = new URL(message.courier);
  courier = { pool: new Pool(url.origin, { connections: AT_ONCE }), path: url.pathname };
  sql = postgres(message.databaseUrl, { max: WRITERS, onnotice: () => {} });
  await sql.unsafe(`
    create table parcels (
      id bigint generated always as identity primary key, awb text not null unique, status text not null, word text,
      asked_at timestamptz);
    create index parcels_asked on parcels (asked_at nulls first, id);
    create table history (
      id bigint generated always as identity primary key, parcel_id bigint not null references parcels (id),
      status text not null, happened_at timestamptz not null, written_at timestamptz not null default now());
    create index history_parcel on history (parcel_id, happened_at)`);
  await sql`
    insert into parcels (awb, status) select (${message.first}::bigint + n)::text, 'pending'
    from generate_series(1, ${message.parcels}::int) n`;
}

async function ask(numbers: readonly string[]): Promise<Told[]> {
  if (!courier) throw new Error('not prepared');
  const { statusCode, body } = await courier.pool.request({
    method: 'GET',
    path: `${courier.path}?waybill=${numbers.join(',')}`,
    headers: { authorization: 'Token none', accept: 'application/json' },
  });
  const answer = (await body.json()) as { ShipmentData: { Shipment: Shipment }[] };
  if (statusCode !== 200) throw new Error(`the courier answered ${statusCode}`);
  return answer.ShipmentData.map(({ Shipment: { AWB, Status } }) => ({
    awb: AWB,
    status: meaningOf(Status.StatusType, Status.Status),
    word: `${Status.StatusType}-${Status.Status}`.toLowerCase().replaceAll(' ', '_'),
    at: new Date(`${Status.StatusDateTime}+05:30`).toISOString(),
  }));
}

const MEANINGS: Record<string, string> = {
  'UD-In Transit': 'in_transit',
  'UD-Dispatched': 'out_for_delivery',
  'DL-Delivered': 'delivered',
};
function meaningOf(type: string, status: string): string {
  const meaning = MEANINGS[`${type}-${status}`];
  if (!meaning) throw new Error(`what does ${type}-${status} mean?`);
  return meaning;
}

async function due(): Promise<{ id: string; awb: string; status: string }[]> {
  return await sql`select id, awb, status from parcels order by asked_at nulls first, id`;
}

/** The bare loop: one statement an answer, for the parcels and the history of those that changed. */
async function bare(): Promise<void> {
  const numbers = (await due()).map(({ awb }) => awb);
  let next = 0;
  const worker = async () => {
    while (next < numbers.length) {
      const batch = numbers.slice(next, next + BATCH);
      next += BATCH;
      const told = await ask(batch);
      await sql`
        with told as (
          select * from unnest(${told.map(({ awb }) => awb)}::text[], ${told.map(({ status }) => status)}::text[],
            ${told.map(({ word }) => word)}::text[], ${told.map(({ at }) => at)}::timestamptz[]) t(awb, status, word, at)),
        known as (
          select p.id, p.status as before, told.* from told join parcels p using (awb) order by p.id for update of p),
        written as (
          update parcels p set status = known.status, word = known.word, asked_at = now() from known where p.id = known.id)
        insert into history (parcel_id, status, happened_at) select id, status, at from known where status <> before`;
    }
  };
  await Promise.all(Array.from({ length: AT_ONCE }, worker));
}

/** The old design: one request after the other, whose parcels are written one by one, fifty at once. */
async function old(): Promise<void> {
  const parcels = new Map((await due()).map((parcel) => [parcel.awb, parcel]));
  const numbers = [...parcels.keys()];
  const writers = pLimit(WRITERS);
  const writes: Promise<void>[] = [];
  let full: (() => void) | undefined;
  const write = async ({ awb, status, word, at }: Told) => {
    const parcel = parcels.get(awb);
    if (!parcel) throw new Error(`nobody asked for ${awb}`);
    await sql`update parcels set status = ${status}, word = ${word}, asked_at = now() where awb = ${awb}`;
    if (parcel.status !== status)
      await sql`insert into history (parcel_id, status, happened_at) values (${parcel.id}, ${status}, ${at})`;
    if (writers.pendingCount < WAITING) full?.();
  };
  for (let at = 0; at < numbers.length; at += BATCH) {
    for (const told of await ask(numbers.slice(at, at + BATCH))) writes.push(writers(write, told));
    if (writers.pendingCount >= WAITING) await new Promise<void>((resolve) => (full = resolve));
    full = undefined;
  }
  await Promise.all(writes);
}

answerParent(async (message: TrackingMessage) => {
  if (message.do === 'prepare') return await prepare(message);
  const startedAt = performance.now();
  await (message.do === 'bare' ? bare() : old());
  return { ms: performance.now() - startedAt };
});
