import { createRecorder, type Recording } from '../recorder.ts';
import type { SandboxClock } from '../temu/world.ts';
import { standInOf, standIns } from './catalogue.ts';
import { scansOf } from './lives.ts';
import type { CourierName, Parcel } from './model.ts';
import type { Parcels } from './parcels.ts';

/** Couriers do not wait long for a response. Milliseconds. */
const TIMEOUT_MS = 5_000;

export interface SentPush {
  api: CourierName;
  number: string;
  /** Epoch milliseconds of the sandbox's clock. */
  at: number;
  /** Of the last response; null: none. */
  status: number | null;
  tries: number;
  /** All attempts failed: the courier gives up. */
  lost: boolean;
}

/** The couriers' webhooks (C14), sent as scans happen. */
export interface CourierWebhooks {
  sent: Recording<SentPush>;
  /** Sends a parcel's newest scan now. Throws when its courier has no webhook, or no scan of it. */
  send(number: string, url: string): Promise<SentPush>;
  /** From now on sends each new scan to the courier's path below `url`, checking at this interval. */
  start(url: string, everyMs?: number): void;
  stop(): Promise<void>;
}

export function createCourierWebhooks(clock: SandboxClock, parcels: Parcels): CourierWebhooks {
  const sent = createRecorder<SentPush>('pushes');
  /** The newest scan of each parcel that was sent, or existed before the start. */
  let sentScans = new Map<Parcel, string>();
  let timer: NodeJS.Timeout | undefined;
  let running: Promise<void> = Promise.resolve();

  async function push(parcel: Parcel, url: string): Promise<SentPush> {
    const way = standInOf(parcel.api).webhook;
    const body = parcels.push(parcel.number, parcel.api);
    if (!way || body === undefined) throw new Error(`${parcel.api} knows nothing of ${parcel.number}`);
    const headers = { 'content-type': 'application/json', 'x-api-key': way.secret };
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

  const withWebhook = (): Parcel[] =>
    standIns.filter(({ webhook }) => webhook).flatMap(({ name }) => parcels.list(name));
  const newest = (parcel: Parcel): string | undefined => {
    const scans = scansOf(parcel, clock.now());
    // a recorded response has no scans
    return scans.at(-1)?.word?.raw === undefined ? scans.at(-1) && `${scans.length}` : undefined;
  };

  async function sendNew(url: string): Promise<void> {
    for (const parcel of withWebhook()) {
      const scan = newest(parcel);
      if (scan === undefined || sentScans.get(parcel) === scan) continue;
      sentScans.set(parcel, scan);
      await push(parcel, url);
      if (timer === undefined) return; // stopped meanwhile
    }
  }

  return {
    sent,
    send: (number, url) => push(parcels.get(number), url),
    start(url, everyMs = 1_000) {
      sentScans = new Map(withWebhook().map((parcel) => [parcel, newest(parcel) ?? '']));
      const next = (): void => {
        timer = setTimeout(() => {
          running = sendNew(url).then(() => {
            if (timer !== undefined) next();
          });
        }, everyMs);
      };
      next();
    },
    async stop() {
      clearTimeout(timer);
      timer = undefined;
      await running;
    },
  };
}

/** The response's status; null on timeout or error. */
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
