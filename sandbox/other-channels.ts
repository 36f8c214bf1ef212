import postgres, { type Sql } from 'postgres';
import { COURIERS, standInOf } from './couriers/catalogue.ts';
import type { CourierName } from './couriers/model.ts';

/** A parcel as another program of the seller knows it. */
export interface BookedParcel {
  api: CourierName;
  number: string;
  /** The order's number. */
  reference: string;
  /** Epoch milliseconds. */
  bookedAt: number;
}

/** Writes parcels and their orders into the fleet's tables with the minimal columns, as another program would. */
export async function bookParcels(sql: Sql, parcels: readonly BookedParcel[]): Promise<void> {
  const rows = parcels.map(({ api, number, reference, bookedAt }) => {
    const { courier, source, lr } = standInOf(api).booking;
    const [awbNumber, lrNumber] = lr ? [null, number] : [number, null];
    return { reference, courier, source, awb: awbNumber, lr: lrNumber, booked_at: new Date(bookedAt) };
  });
  const given = sql`
    jsonb_to_recordset(${sql.json(rows as never)}) as g(reference text, courier text, source text, awb text, lr text,
      booked_at timestamptz)`;
  await sql.begin(async (sql) => {
    await sql`
      insert into orders (source, marketplace_order_id) select source, reference from ${given} on conflict do nothing`;
    await sql`
      insert into shipments (order_id, booking_courier, booked_at, awb_number, lr_number)
      select o.id, g.courier, g.booked_at, g.awb, g.lr
      from ${given} join orders o on o.marketplace_order_id = g.reference and o.source = g.source
      where not exists (
        select from shipments s where s.order_id = o.id and coalesce(s.awb_number, s.lr_number) = coalesce(g.awb, g.lr))
      on conflict do nothing`;
  });
}

export interface OtherChannels {
  stop(): Promise<void>;
}

/** Couriers of other channels' orders: those of Temu's get their parcels from the shipping app. */
const OTHERS = COURIERS.filter((api) => standInOf(api).booking.source !== 'temu');
const MONTH_MS = 30 * 86_400_000;

/**
 * A stand-in for the seller's other sales channels: writes the parcels of the sandbox's couriers into the fleet's tables,
 * and adds a new one now and then, courier by courier.
 * @param url the sandbox's address
 */
export function startOtherChannels(options: {
  databaseUrl: string;
  url: string;
  everyMs: number;
}): OtherChannels {
  const { databaseUrl, url, everyMs } = options;
  const sql = postgres(databaseUrl, { max: 1, onnotice: () => undefined });
  const ask = async <T>(path: string, body?: unknown): Promise<T> => {
    const response = await fetch(`${url}/_sandbox/${path}`, {
      ...(body === undefined ? {} : { method: 'POST', body: JSON.stringify(body) }),
    });
    return (await response.json()) as T;
  };
  let made = 0;
  let stopped = false;
  let timer: NodeJS.Timeout | undefined;
  let turning: Promise<void> = Promise.resolve();
  const turn = async () => {
    try {
      if (made === 0)
        for (const api of OTHERS) {
          const parcels = await ask<BookedParcel[]>(`parcels?api=${api}&limit=1000`);
          await bookParcels(
            sql,
            parcels.filter(({ bookedAt }) => bookedAt > Date.now() - MONTH_MS),
          );
        }
      else {
        const api = OTHERS[made % OTHERS.length] as CourierName;
        const added = await ask<{ parcels: BookedParcel[] }>('parcels', {
          api,
          count: 1,
          days: 0.01,
          seed: Date.now(),
        });
        await bookParcels(sql, added.parcels);
      }
      made++;
    } catch (error) {
      if (!stopped) console.error(`other channels: ${(error as Error).message}; tried again`);
    }
    if (!stopped) timer = setTimeout(() => (turning = turn()), everyMs);
  };
  turning = turn();
  return {
    async stop() {
      stopped = true;
      clearTimeout(timer);
      await turning;
      await sql.end({ timeout: 5 });
    },
  };
}
