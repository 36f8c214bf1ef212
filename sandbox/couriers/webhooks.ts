import { createKeeper, type Kept } from '../kept.ts';
import type { SandboxClock } from '../temu/world.ts';
import { scansOf } from './lives.ts';
import type { CourierName, Parcel } from './model.ts';
import type { Parcels } from './parcels.ts';

/** How each courier that pushes does it: where to below the given address, its header, and its tries. */
const WAYS: Partial<Record<CourierName, { path: string; secret: keyof PushSecrets; tries: number }>> = {
  // a push that fails is sent once more at once, then it is lost
  'delhivery-b2c': { path: 'delhivery', secret: 'delhivery', tries: 2 },
  'delhivery-b2b': { path: 'delhivery', secret: 'delhivery', tries: 2 },
  'delhivery-fallback': { path: 'delhivery', secret: 'delhivery', tries: 2 },
  // it takes no address with "sr" or "kr" in it; of retries nothing is known
  shiprocket: { path: 'parcels-in', secret: 'shiprocket', tries: 1 },
};
/** Couriers do not wait for an answer. Milliseconds. */
const TIMEOUT_MS = 5_000;

export interface PushSecrets {
  delhivery: string;
  shiprocket: string;
}

export interface SentPush {
  api: CourierName;
  number: string;
  /** Epoch milliseconds of the sandbox's clock. */
  at: number;
  /** Of the last answer; null: none came. */
  status: number | null;
  tries: number;
  /** The last try failed, too: the courier forgets it. */
  lost: boolean;
}

/** The couriers' webhooks (C14): what happens to parcels is told as it happens. */
export interface CourierWebhooks {
  /** What goes with them as `x-api-key`. */
  secrets: PushSecrets;
  sent: Kept<SentPush>;
  /** Tells of a parcel's newest scan now. Throws when its courier pushes nothing, or knows nothing of it. */
  send(number: string, url: string): Promise<SentPush>;
  /** From now on each new scan is told at `url`/delhivery or `url`/parcels-in, looked for so often. */
  start(url: string, everyMs?: number): void;
  stop(): Promise<void>;
}

export function createCourierWebhooks(clock: SandboxClock, parcels: Parcels): CourierWebhooks {
  const secrets: PushSecrets = { delhivery: 'demo-secret-of-delhivery', shiprocket: 'demo-secret-of-broker' };
  const sent = createKeeper<SentPush>('pushes');
  /** The newest scan of each parcel that was told, or was there before the start. */
  let told = new Map<Parcel, string>();
  let timer: NodeJS.Timeout | undefined;
  let turning: Promise<void> = Promise.resolve();

  async function push(parcel: Parcel, url: string): Promise<SentPush> {
    const way = WAYS[parcel.api];
    const body = parcels.push(parcel.number, parcel.api);
    if (!way || body === undefined) throw new Error(`${parcel.api} knows nothing of ${parcel.number}`);
    const headers = { 'content-type': 'application/json', 'x-api-key': secrets[way.secret] };
    const target = `${url.replace(/\/+$/, '')}/${way.path}`;
    let status: number | null = null;
    let tries = 0;
    do {
      tries++;
      status = await post(target, headers, JSON.stringify(body));
    } while (status !== 200 && tries < way.tries);
    const { api, number } = parcel;
    const one = { api, number, at: clock.now(), status, tries, lost: status !== 200 };
    sent.add(one);
    return one;
  }

  const pushing = (): Parcel[] => (Object.keys(WAYS) as CourierName[]).flatMap((api) => parcels.list(api));
  const newest = (parcel: Parcel): string | undefined => {
    const scans = scansOf(parcel, clock.now());
    // an answer that was recorded is no scan
    return scans.at(-1)?.word?.raw === undefined ? scans.at(-1) && `${scans.length}` : undefined;
  };

  async function turn(url: string): Promise<void> {
    for (const parcel of pushing()) {
      const scan = newest(parcel);
      if (scan === undefined || told.get(parcel) === scan) continue;
      told.set(parcel, scan);
      await push(parcel, url);
      if (timer === undefined) return; // stopped meanwhile
    }
  }

  return {
    secrets,
    sent,
    send: (number, url) => push(parcels.get(number), url),
    start(url, everyMs = 1_000) {
      told = new Map(pushing().map((parcel) => [parcel, newest(parcel) ?? '']));
      const next = (): void => {
        timer = setTimeout(() => {
          turning = turn(url).then(() => {
            if (timer !== undefined) next();
          });
        }, everyMs);
      };
      next();
    },
    async stop() {
      clearTimeout(timer);
      timer = undefined;
      await turning;
    },
  };
}

/** The answer's status; null when none came in time. */
async function post(url: string, headers: Record<string, string>, body: string): Promise<number | null> {
  try {
    const signal = AbortSignal.timeout(TIMEOUT_MS);
    const response = await fetch(url, { method: 'POST', headers, body, signal });
    await response.arrayBuffer();
    return response.status;
  } catch {
    return null;
  }
}
