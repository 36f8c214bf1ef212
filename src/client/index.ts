import { createHash } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { createPostgresBackend, Queue, type QueueOptions } from 'bullmq';
import type pg from 'pg';
import { z } from 'zod';
import { driver } from '../db/driver.ts';
import { isMomentary } from '../lib/infrastructure.ts';
import { cleanNumber, type NumberKind, numberFault } from '../lib/numbers.ts';
import { keepEnded } from '../queue/keep-ended.ts';
import { openPgPool, retryingSchemaCheck } from '../queue/pg-pool.ts';
import { openRedis, PREFIX, retryingInit } from '../queue/redis-open.ts';

/**
 * The client for a shipping app (A1): `import { createClient } from 'orderfleet/client'`. It depends only on bullmq, bullmq's
 * driver and zod, and talks to the queue, not to the fleet, which may be down. Errors of the queue's store never end the
 * host program (I3).
 */

/**
 * No control characters, lone surrogates or replacement characters: Postgres does not store the first two, no number has
 * any of them, and a wrong number is a wrong parcel.
 */
const text = z
  .string()
  .trim()
  .min(1)
  .max(200)
  .refine((value) => !/[\p{Cc}\p{Cs}\uFFFD]/u.test(value), { error: 'has characters that cannot be stored' });

/**
 * A number by the common rule (lib/numbers.ts). Errors quote a rejected value only if it is digits or a word for "none":
 * anything else may be personal data, and rejected events are stored (T18).
 */
const number = (field: string, kind: NumberKind) =>
  text.overwrite(cleanNumber).refine((value) => numberFault(value, kind) === undefined, {
    error: ({ input }) => {
      const fault = numberFault(String(input), kind);
      return `${field} ${fault?.is === 'wrong' ? '' : `"${input}" `}${fault?.why}`;
    },
  });

const item = z.object({
  /** Our order_item_lines.id, or the marketplace's own number of the line. */
  orderItemId: number('orderItemId', 'order'),
  quantity: z.number().int().positive(),
});

/** Payload of the queue `awb-created`, version 1. The order: our id, or its source and its number there. */
export const awbCreatedEvent = z
  .object({
    v: z.literal(1).default(1),
    orderId: z.uuid().optional(),
    source: text.optional(),
    marketplaceOrderId: number('marketplaceOrderId', 'order').optional(),
    awbNumber: number('awbNumber', 'parcel'),
    carrier: text.default('fancourier'),
    lrNumber: number('lrNumber', 'parcel').optional(),
    /** ISO 8601 with a zone; default: when the event is recorded. */
    bookedAt: z.iso
      .datetime({ offset: true })
      .refine((value) => value.startsWith('20'), { error: 'is no time of this century' })
      .optional(),
    /** The courier whose tracker follows the parcel; default: the carrier. */
    bookingCourier: text.optional(),
    /** Contents of the parcel, when the order has several. */
    items: z.array(item).min(1).max(500).optional(),
  })
  .refine((event) => event.orderId || (event.source && event.marketplaceOrderId), {
    path: ['orderId'],
    error: 'name the order: orderId, or source and marketplaceOrderId',
  });

export type AwbCreated = z.input<typeof awbCreatedEvent>;
export type AwbCreatedEvent = z.output<typeof awbCreatedEvent>;

/** Events with the same key are one event. */
export const eventKey = (event: AwbCreatedEvent): string =>
  [event.orderId ?? `${event.source}/${event.marketplaceOrderId}`, event.awbNumber.toUpperCase()].join(' ');

/** What a later event with the same key may correct, until the number is sent to the marketplace. */
export const eventContent = ({
  carrier,
  items,
  lrNumber,
  bookedAt,
  bookingCourier,
}: AwbCreatedEvent): string =>
  JSON.stringify([
    carrier,
    items?.map((one) => [one.orderItemId, one.quantity]),
    lrNumber,
    bookedAt,
    bookingCourier,
  ]);

/**
 * BullMQ drops a job with a known id: the first deduplication; the second is in Postgres. An event that corrects an
 * earlier one is another job.
 */
export const eventJobId = (event: AwbCreatedEvent): string =>
  `awb-${encodeURIComponent(eventKey(event))}-${createHash('sha256').update(eventContent(event)).digest('hex').slice(0, 8)}`;

export const AWB_CREATED = 'awb-created';
const FAIL_AFTER_MS = 2_000;
/** A silent connection is abandoned after this long; a new one has the rest of the time. */
const SILENCE_MS = 1_200;
/** Before the next attempt with a new connection. */
const PAUSE_MS = 100;

export interface ClientOptions {
  /** The Redis of the fleet's queues, or … */
  redisUrl?: string;
  /** … the Postgres of a fleet without Redis. */
  databaseUrl?: string;
}

export interface OrderfleetClient {
  /**
   * Enqueues an event.
   * @returns the job's id; the same event twice has the same one
   * @throws Error within two seconds: the event is invalid, or the queue does not answer
   */
  awbCreated(event: AwbCreated): Promise<string>;
  close(): Promise<void>;
}

export function createClient(options: ClientOptions): OrderfleetClient {
  const { queue, keep, close } = openQueue(options);
  let lastError = '';
  // without a listener a lost connection would end the host program
  queue.on('error', (error) => {
    lastError = error.message;
  });

  async function awbCreated(given: AwbCreated): Promise<string> {
    const parsed = awbCreatedEvent.safeParse(given);
    if (!parsed.success) throw new Error(`AWB-created event refused: ${z.prettifyError(parsed.error)}`);
    const event = parsed.data;
    const jobId = eventJobId(event);
    const giveUpAt = performance.now() + FAIL_AFTER_MS;
    // same id: a job that an earlier attempt did add is not added twice
    const add = async (cut: boolean): Promise<unknown> => {
      try {
        return await queue.add(AWB_CREATED, event, { jobId, ...TRIES, ...keep });
      } catch (error) {
        const again = cut || isCut(error);
        if (!(again || isMomentary(error)) || performance.now() + PAUSE_MS > giveUpAt) throw error;
        if (again) await sleep(PAUSE_MS);
        return await add(again);
      }
    };
    const added = add(false);
    added.catch(() => {}); // it may fail after the timeout, when nothing awaits it any more
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise<never>((_, reject) => {
      timer = setTimeout(
        () => reject(new Error(`no answer within ${FAIL_AFTER_MS / 1000} s${lastError && `: ${lastError}`}`)),
        FAIL_AFTER_MS,
      );
    });
    try {
      await Promise.race([added, late]);
      return jobId;
    } catch (error) {
      const why = error instanceof Error ? error.message : String(error);
      throw new Error(`AWB ${event.awbNumber} was not enqueued: the queue of Orderfleet is away (${why})`, {
        cause: error,
      });
    } finally {
      clearTimeout(timer);
    }
  }

  return { awbCreated, close };
}

/**
 * The connection was lost, or leads to a read-only server: a new one may work. A store that was down from the start is
 * reported at once.
 */
const isCut = (error: unknown) =>
  error instanceof Error &&
  /\bREADONLY\b|read-only|in recovery|Connection terminated|Connection is closed|Socket timeout|ECONNRESET|57P0\d/.test(
    `${'code' in error ? error.code : ''} ${error.message}`,
  );

/** As for the fleet's own jobs; the delays are set in the worker. */
const TRIES = { attempts: 5, backoff: { type: 'custom' } };

interface Opened {
  queue: Queue;
  keep: ReturnType<typeof keepEnded>;
  close(): Promise<void>;
}

/** BullMQ parses URLs differently and supports fewer: it gets connections, which it does not close. */
function openQueue({ redisUrl, databaseUrl }: ClientOptions): Opened {
  if (redisUrl) {
    const connection = openRedis(redisUrl, {
      enableOfflineQueue: false,
      maxRetriesPerRequest: 1,
      connectTimeout: FAIL_AFTER_MS,
      socketTimeout: SILENCE_MS,
      retryStrategy: (times: number) => Math.min(50 * 2 ** times, FAIL_AFTER_MS),
      // a demoted primary behind the same address: this attempt fails, the next one has a new connection
      reconnectOnError: (error: Error) => /\bREADONLY\b/.test(error.message),
    });
    const options = { connection: connection as QueueOptions['connection'], prefix: PREFIX };
    const queue = retryingInit(new Queue(AWB_CREATED, options));
    connection.on('error', () => {}); // the queue reports it
    return {
      queue,
      keep: keepEnded('redis'),
      async close() {
        await queue.close();
        connection.disconnect();
      },
    };
  }
  if (databaseUrl) {
    const watch = { silenceMs: SILENCE_MS, heartbeatMs: SILENCE_MS };
    const limits = { max: 2, connectionTimeoutMillis: SILENCE_MS };
    const pool = openPgPool(driver<typeof pg>('pg'), databaseUrl, 'client', limits, watch);
    // a queue's types depend on its backend; for producers they are the same
    const OnPostgres = Queue as unknown as new (...args: unknown[]) => Queue;
    const queue = new OnPostgres(
      AWB_CREATED,
      { connection: pool },
      retryingSchemaCheck(createPostgresBackend),
    );
    return {
      queue,
      keep: keepEnded('postgres'),
      async close() {
        await queue.close();
        await pool.end();
      },
    };
  }
  throw new Error('createClient needs redisUrl, or databaseUrl if the fleet’s queues are in Postgres');
}
