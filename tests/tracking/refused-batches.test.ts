import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { COURIERS } from '../../sandbox/couriers/catalogue.ts';
import type { CourierName, Parcel } from '../../sandbox/couriers/model.ts';
import type { HttpFault } from '../../sandbox/http-faults.ts';
import { type RunRow, startTrackingStand, type TrackingStand } from '../support/tracking.ts';
import { until } from '../support/until.ts';

/** C9, R3, R4: answers that are none: whatever one parcel makes of its batch, the others are tracked. */
let stand: TrackingStand;

beforeAll(async () => {
  stand = await startTrackingStand('postgres');
  // tests wait less for an answer that never comes
  for (const tracker of stand.deps.trackers) tracker.courier = { ...tracker.courier, timeoutMs: 200 };
  stand.work();
});
afterEach(async () => {
  for (const desk of Object.values(stand.sandbox.couriers.api)) {
    desk.faults.clear();
    desk.ledger.reset();
  }
  stand.sandbox.couriers.api['delhivery-b2c'].settings.unknownInBatch = 'missing';
  await stand.stack.sql`update shipments set being_tracked = false`;
});
afterAll(() => stand?.close());

async function parcels(api: CourierName, count: number, days = 0.2): Promise<Parcel[]> {
  const { parcels } = stand.sandbox.couriers;
  const many = parcels.addMany({ api, count, mix: { ndr: 1 }, days, seed: parcels.size() });
  for (const one of many) one.bookedAt -= 300_000; // manifested minutes ago: the courier knows them all
  await stand.book(many);
  return many;
}

/** A run to its end, with the pauses between its tries put forward. */
async function runOut(api: CourierName): Promise<RunRow> {
  const sql = stand.stack.sql;
  await stand.start(api);
  for (;;) {
    const state = await until(
      async () => {
        const [open] = await sql<{ due: number; later: number }[]>`
        select count(*) filter (where state = 'working' or due_at <= ${new Date(stand.now() + 2_000)})::int as due,
          count(*)::int as later from tracking_batches where state in ('pending', 'working')`;
        if (open?.due === 0) return open.later > 0 ? 'later' : 'over';
        return undefined;
      },
      { timeoutMs: 30_000, what: 'the batches to rest' },
    );
    if (state === 'over') return await stand.ended(api);
    await stand.later(90_000);
  }
}

const sum = (run: RunRow) =>
  run.updated + run.unchanged + run.not_found + run.mismatched + run.unmapped + run.failed;
const asked = async (numbers: readonly string[]) => {
  const rows = await stand.stack.sql<{ number: string }[]>`
    select awb_number as number from shipments where awb_number = any(${numbers as string[]}::text[]) and last_tracked_at is not null`;
  return rows.length;
};
const requests = (api: CourierName) => stand.sandbox.couriers.api[api].ledger.summary().tracking;

describe('C9: a refusal of the whole batch', () => {
  test('because of parcels that the courier does not know: halved until they are alone, and the rest is tracked', async () => {
    const api = 'delhivery-b2c';
    stand.sandbox.couriers.api[api].settings.unknownInBatch = 'error';
    const many = await parcels(api, 120);
    const strangers = [7, 60, 61].map((index) => (many[index] as Parcel).number);
    for (const number of strangers) stand.sandbox.couriers.parcels.setWord(number, { unknown: true });
    const run = await runOut(api);
    expect(run).toMatchObject({ planned: 120, not_found: 3, failed: 0 });
    expect(sum(run)).toBe(120);
    expect(await asked(many.map(({ number }) => number))).toBe(120);
    // two requests a level for each
    expect(requests(api)).toBeLessThanOrEqual(3 + 3 * 12);
    expect(run.requests).toBe(requests(api));
    const batches = await stand.stack.sql`
      select state from tracking_batches where run_id = ${run.id} and state not in ('done', 'split')`;
    expect(batches).toEqual([]);
  });

  test('whether all are unknown or one of each batch', async () => {
    const api = 'delhivery-b2c';
    stand.sandbox.couriers.api[api].settings.unknownInBatch = 'error';
    const many = await parcels(api, 150);
    const rows = await stand.stack.sql<{ number: string; place: number }[]>`
      select awb_number as number, row_number() over (order by id)::int - 1 as place from shipments where tracked_by = ${api}`;
    const unknown = rows.filter(({ place }) => place < 50 || place % 50 === 7);
    for (const { number } of unknown) stand.sandbox.couriers.parcels.setWord(number, { unknown: true });
    expect(await runOut(api)).toMatchObject({ planned: 150, not_found: unknown.length, failed: 0 });
    expect(await asked(many.map(({ number }) => number))).toBe(150);
  });
});

describe('R3: a number that is none fails alone', () => {
  test.each(['delhivery-b2c', 'shiprocket', 'velocity'] as const)('%s', async (api) => {
    const many = await parcels(api, 12);
    const sql = stand.stack.sql;
    const rename = (index: number, number: string) =>
      sql`update shipments set awb_number = ${number} where awb_number = ${(many[index] as Parcel).number}`;
    await rename(0, `${many[0]?.number},${many[1]?.number}`);
    await rename(2, `${many[2]?.number} X`);
    await rename(3, 'A&key=1');
    await rename(4, ` ${many[4]?.number}  `); // blanks around it are nobody's fault
    const run = await runOut(api);
    expect(run).toMatchObject({ planned: 12, failed: 3, requests: 1, not_found: 0 });
    expect(sum(run)).toBe(12);
    expect(Object.values(run.errors)).toEqual([3]);
    const left = await sql`select from shipments where tracked_by = ${api} and last_tracked_at is null`;
    expect(left).toEqual([]);
  });

  test('a parcel that cannot be written', async () => {
    const sql = stand.stack.sql;
    const many = await parcels('shiprocket', 30, 5);
    const { parcels: told } = stand.sandbox.couriers;
    const poison = many.find(({ number }) => told.truth(number).status === 'in_transit')?.number;
    await sql.unsafe(`
      create function poison() returns trigger language plpgsql as $$
      begin
        if new.awb_number = '${poison}' and new.status_at is not null then raise exception 'cannot be written'; end if;
        return new;
      end $$;
      create trigger poison before update on shipments for each row execute function poison()`);
    try {
      const run = await runOut('shiprocket');
      expect(run).toMatchObject({ planned: 30, failed: 1 });
      expect(run.updated + run.unchanged).toBe(29);
      expect(Object.keys(run.errors)).toEqual([expect.stringContaining('cannot be written')]);
      expect(await asked(many.map(({ number }) => number))).toBe(30);
    } finally {
      await sql.unsafe('drop trigger poison on shipments; drop function poison()');
    }
  });
});

const NO_ANSWERS: [string, HttpFault][] = [
  ['an HTML page', { kind: 'html', status: 200 }],
  ['JSON that ends in the middle', { kind: 'truncatedJson' }],
  ['JSON of another shape', { kind: 'wrongJson', body: { ok: 1 } }],
  ['no UTF-8', { kind: 'invalidUtf8' }],
  ['HTTP 500', { kind: 'status', status: 500 }],
  ['HTTP 502 with a page', { kind: 'html', status: 502 }],
  ['a cut connection', { kind: 'cut' }],
  ['a redirect', { kind: 'redirect', location: 'http://127.0.0.1:1/' }],
  ['silence', { kind: 'hang' }],
];

describe('R4: no answer at all', () => {
  test.each(
    NO_ANSWERS.map(
      ([name, fault], index) => [name, COURIERS[index % COURIERS.length] as CourierName, fault] as const,
    ),
  )('%s of %s for a moment: asked again, nothing is lost', async (_, api, fault) => {
    await parcels(api, 2);
    stand.sandbox.couriers.api[api].faults.add({ on: 'track', times: 2, do: fault });
    const run = await runOut(api);
    expect([run.failed, sum(run)]).toEqual([0, 2]);
    expect(run.requests).toBe(requests(api));
  });

  test.each(NO_ANSWERS.filter((_, index) => index % 2 === 0))(
    '%s, always, because of one parcel: it fails alone',
    async (_, fault) => {
      const api = 'velocity';
      const many = await parcels(api, 20);
      const { number } = many[13] as Parcel;
      stand.sandbox.couriers.api[api].faults.add({ on: 'track', number, do: fault });
      const run = await runOut(api);
      expect(run).toMatchObject({ planned: 20, failed: 1 });
      expect(sum(run)).toBe(20);
      expect(await asked(many.map((one) => one.number))).toBe(20);
      expect(requests(api)).toBeLessThanOrEqual(5 + 2 * 5);
    },
  );

  test('for all of them: the run ends soon, says so, and puts few parcels behind the others', async () => {
    const api = 'velocity';
    const many = await parcels(api, 45 * 6);
    stand.sandbox.couriers.api[api].faults.add({ on: 'track', do: { kind: 'html', status: 200 } });
    const run = await runOut(api);
    expect(run).toMatchObject({ planned: many.length, failed: many.length });
    expect(sum(run)).toBe(many.length);
    expect(await asked(many.map(({ number }) => number))).toBeLessThan(60);
    // five tries for each batch, and some are halved down to twenty parcels: not one try for each parcel
    expect(requests(api)).toBeLessThanOrEqual(5 * 6 + 130);
  });
});
