import { sql as text } from 'drizzle-orm';
import { closeDb, createDb } from '../../src/db/client.ts';
import { dueParcels } from '../../src/tracking/engine/runs.ts';
import type { Case } from '../support/case.ts';
import { connect, tidy } from '../support/tables.ts';
import { medianOf, takeTurns } from '../support/turns.ts';

const SMALL = 'table of the due ones alone';
const FLEET = 'fleet';
const DAY_MS = 86_400_000;

/** P3: choosing the parcels of a run among many. One in a hundred is still on its way, the others have ended. */
export const select: Case = {
  name: 'select',
  says: 'choosing 36,000 due parcels out of ten million, beside a table of the due ones alone',
  onlyByName: true,
  backends: ['postgres'],
  sizes: {
    stored: { full: 10_000_000, quick: 200_000, says: 'parcels that are stored' },
    most: { full: 36_000, quick: 1_000, says: 'parcels of a run' },
  },
  async run(context) {
    const { stage, ours, size } = context;
    const [stored, most] = [size('stored'), size('most')];
    const DATABASE_URL = await stage.database('select');
    await ours.command({ DATABASE_URL, CREDENTIALS_KEY: Buffer.alloc(32).toString('base64') }, 'migrate');
    const sql = connect(DATABASE_URL);
    const db = createDb(DATABASE_URL, { max: 1 });
    // the triggers' work is done by hand here: ten million single look-ups would take an hour
    await sql`set session_replication_role = replica`;
    await sql`set synchronous_commit = off`;
    await sql`insert into trackers (name, enabled, courier, sources, number, precedence)
      values ('delhivery-b2c', true, 'delhivery', 'primary', 'awb', 20)`;
    const orders = Math.ceil(stored / 10); // ten parcels an order spare some disk
    await sql`
      insert into orders (id, source, marketplace_order_id, order_status)
      select lpad(to_hex(n), 32, '0')::uuid, 'shopify', 'ORD-' || n, 10 from generate_series(1, ${orders}::int) n`;
    await sql`
      insert into shipments (order_id, booking_courier, booked_at, awb_number, status, last_tracked_at, tracked_by)
      select lpad(to_hex(1 + n % ${orders}::int), 32, '0')::uuid, 'Delhivery Surface',
        case when n % 100 = 0 then now() - random() * interval '30 days'
          else now() - interval '40 days' - random() * interval '900 days' end,
        'AWB' || n, case when n % 100 = 0 then 'in_transit' else 'delivered' end,
        now() - random() * interval '10 minutes', case when n % 100 = 0 then 'delhivery-b2c' end
      from generate_series(1, ${stored}::int) n`;
    await sql`
      insert into tracked_parcels (shipment_id, tracker, booked_at, last_tracked_at)
      select id, tracked_by, booked_at, last_tracked_at from shipments where tracked_by is not null`;
    await sql`create table due_ones as select id, last_tracked_at as asked_at from shipments where tracked_by is not null`;
    await sql`create index due_ones_asked on due_ones (asked_at nulls first, id)`;
    await tidy(sql);
    const due = dueParcels('delhivery-b2c', new Date(Date.now() - 31 * DAY_MS), most);
    const small = text`select id, row_number() over () from (
      select id from due_ones order by asked_at nulls first, id limit ${most}) due`;
    const contender = (name: string, query: typeof due) => ({
      name,
      turn: async (measure: typeof stage.measure) => {
        const at = performance.now();
        const { result } = await measure(() =>
          db.execute<{ n: number }>(text`select count(*)::int as n from (${query}) due`),
        );
        const ms = performance.now() - at;
        const wanted = Math.min(most, Math.floor(stored / 100));
        if (result[0]?.n !== wanted) throw new Error(`${name}: ${result[0]?.n} of ${wanted} parcels`);
        return { '': { ms } };
      },
    });
    const { rows, discarded } = await takeTurns(stage, [contender(FLEET, due), contender(SMALL, small)], {
      ...context,
      runs: Math.max(9, context.runs),
    });
    for (const line of await db.execute(text`explain (analyze, buffers, costs off) ${due}`))
      console.error(Object.values(line)[0]);
    await sql.end();
    await closeDb(db);
    const ms = medianOf(rows, FLEET, 'ms');
    return [
      {
        what: 'P3: choosing the parcels of a run among all that are stored',
        size: `${stored.toLocaleString('en')} parcels stored, ${most.toLocaleString('en')} of a hundredth chosen`,
        rows,
        ratios: [
          { says: 'fleet, ms', value: ms, goal: { below: 100 } },
          {
            says: 'fleet ÷ the same out of a table of the due ones alone',
            value: ms / medianOf(rows, SMALL, 'ms'),
          },
        ],
        discarded,
        checked: 'as many were chosen as a run takes',
      },
    ];
  },
};
