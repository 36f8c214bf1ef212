import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { messageOf } from './errors.ts';
import type { Log } from './log.ts';
import { METRICS_TYPE } from './metrics.ts';
import type { Queues } from './queue/queues.ts';
import type { WorkerState } from './queue/run.ts';
import { sameText } from './same-text.ts';
import { within } from './within.ts';

/** What a probe is told: nothing personal, no address and no secret, only which part is well. */
export interface Health {
  ok: boolean;
  checks: Record<string, string>;
}

/** How one process is (O4). */
export interface Probes {
  /**
   * Looks from now on whether these workers take what waits.
   * @param clock why their clock keeps them from it
   */
  watch(workers: readonly WorkerState[], clock?: () => string | undefined): void;
  /** From now on it is not ready: nothing new is to be sent its way. */
  drain(): void;
  /** Alive and consuming. Asks nobody: a database that is away is no reason to be killed. */
  healthz(): Health;
  /**
   * Postgres and the queues’ store take what a job needs, the clock agrees with theirs, and the process is not stopping.
   * Answers in time whatever they do.
   */
  readyz(): Promise<Health>;
  close(): void;
}

export interface ProbeTimes {
  /** Between two looks at the queues of workers that take nothing. */
  lookMs: number;
  /** Work that waits for so long, with a place free or all of them held beyond their time: the worker does not consume. */
  starvingMs: number;
  /** Whoever does not answer within this time is away. */
  answerMs: number;
}

/** A probe waits for a few seconds: its answer is there within two. */
const TIMES: ProbeTimes = { lookMs: 10_000, starvingMs: 60_000, answerMs: 1_500 };

interface ProbeDeps {
  queues: Queues;
  /** Rejects when Postgres takes no writes of ours. */
  verifyDatabase(): Promise<unknown>;
}

/** What is known of one worker. */
interface Watched {
  worker: WorkerState;
  /** Since when, epoch milliseconds, there has been work at each look that it should have taken, with nothing taken. */
  starvingSince: number | undefined;
  /** The last look got no answer. */
  unknown: boolean;
}

export function createProbes(
  { queues, verifyDatabase }: ProbeDeps,
  changed: Partial<ProbeTimes> = {},
): Probes {
  const times = { ...TIMES, ...changed };
  let watched: Watched[] = [];
  let clockTrouble: () => string | undefined = () => undefined;
  let draining = false;
  const closed = new AbortController();

  async function look(one: Watched): Promise<void> {
    const { worker } = one;
    // with all places taken it may take nothing for as long as a job may last; by then each has ended or been aborted,
    // unless all hang over something that heeds no signal
    const patienceMs = worker.busy < worker.places ? times.lookMs : worker.timeoutMs;
    const idle = !worker.held() && Date.now() - worker.takenAt >= patienceMs;
    const startedAt = Date.now();
    try {
      const waits = idle && (await within(times.answerMs, queues.takeable({ name: worker.queue }))) > 0;
      const since = one.starvingSince ?? startedAt;
      // what it has taken meanwhile begins the wait anew
      one.starvingSince = waits ? (since > worker.takenAt ? since : startedAt) : undefined;
      one.unknown = false;
    } catch (error) {
      queues.outages.note(`health of ${worker.queue}`, error);
      one.unknown = true;
      one.starvingSince = undefined;
    }
  }

  async function lookAgainAndAgain(): Promise<void> {
    const { signal } = closed;
    while (!signal.aborted) {
      await sleep(times.lookMs, undefined, { signal, ref: false }).catch(() => {});
      if (!signal.aborted) await Promise.all(watched.map(look));
    }
  }

  function verdictOn({ worker, starvingSince, unknown }: Watched): 'ok' | 'unknown' | (string & {}) {
    if (draining) return 'ok';
    if (!worker.running()) return 'its worker has stopped';
    if (unknown) return 'unknown';
    const starving = starvingSince !== undefined && worker.takenAt < starvingSince;
    const ms = starving ? Date.now() - starvingSince : 0;
    return ms < times.starvingMs
      ? 'ok'
      : `work waits, and it has taken nothing for ${Math.round(ms / 1000)} s`;
  }

  const postgres = ready('postgres', verifyDatabase);
  const store = ready('queues', () => queues.backend.verify());

  /** @returns what tries one part and says how it is */
  function ready(what: string, verify: () => Promise<unknown>): () => Promise<string> {
    let trying: Promise<unknown> | undefined;
    return async () => {
      // one try at a time: whoever asks while nobody answers must not take connection after connection
      trying ??= verify().finally(() => {
        trying = undefined;
      });
      try {
        await within(times.answerMs, trying);
        return 'ok';
      } catch (error) {
        queues.outages.note(`readiness of ${what}`, error);
        return 'not usable';
      }
    };
  }

  return {
    watch(workers, clock) {
      if (clock) clockTrouble = clock;
      watched = workers.map((worker) => ({ worker, starvingSince: undefined, unknown: false }));
      if (watched.length > 0) void lookAgainAndAgain();
    },
    drain() {
      draining = true;
    },
    healthz() {
      const checks = Object.fromEntries(watched.map((one) => [one.worker.queue, verdictOn(one)]));
      return { ok: Object.values(checks).every((said) => said === 'ok' || said === 'unknown'), checks };
    },
    async readyz() {
      const [database, queue] = await Promise.all([postgres(), store()]);
      const clock = clockTrouble();
      const checks = {
        ...{ postgres: database, queues: queue, process: draining ? 'stopping' : 'ok' },
        ...(clock === undefined ? {} : { clock }),
      };
      return { ok: Object.values(checks).every((said) => said === 'ok'), checks };
    },
    close: () => closed.abort(),
  };
}

// --- over HTTP ---

export interface HealthSource {
  probes: Probes;
  /** The page of /metrics. */
  metrics(): Promise<string>;
  /** METRICS_TOKEN: what /metrics wants as bearer token; undefined: nothing. */
  token: string | undefined;
}

export interface HealthAnswer {
  status: 200 | 401 | 503;
  headers: Record<string, string>;
  body: string;
}

/**
 * The answer to GET /healthz, /readyz or /metrics (O4), on the small port of a worker as in web.
 * @returns undefined for any other path
 */
export async function answerHealth(
  { probes, metrics, token }: HealthSource,
  path: string,
  authorization: string | undefined,
): Promise<HealthAnswer | undefined> {
  if (path === '/healthz') return verdict(probes.healthz());
  if (path === '/readyz') return verdict(await probes.readyz());
  if (path !== '/metrics') return undefined;
  if (token !== undefined && !sameText(/^Bearer (.+)$/i.exec(authorization ?? '')?.[1] ?? '', token))
    return {
      status: 401,
      headers: { 'content-type': 'text/plain; charset=utf-8', 'www-authenticate': 'Bearer' },
      body: 'send Authorization: Bearer with the token of METRICS_TOKEN\n',
    };
  return {
    status: 200,
    headers: { 'content-type': METRICS_TYPE, 'cache-control': 'no-store' },
    body: await metrics(),
  };
}

const verdict = (health: Health): HealthAnswer => ({
  status: health.ok ? 200 : 503,
  headers: { 'content-type': 'application/json', 'cache-control': 'no-store' },
  body: `${JSON.stringify({ ok: health.ok, ...health.checks })}\n`,
});

/** Who asks is a prober or Prometheus: it sends no body, and at once. In milliseconds. */
const PATIENCE = { headersTimeout: 5_000, requestTimeout: 10_000 };

/**
 * The small port of a worker: those three addresses and nothing else, on Node's own server, so that a worker loads no
 * web framework for them.
 * @param port 0: any free one
 * @throws Error when it cannot listen, e.g. EADDRINUSE
 */
export async function serveHealth(
  source: HealthSource,
  { port, host, log }: { port: number; host: string; log: Log },
): Promise<() => Promise<void>> {
  const server = createServer(PATIENCE, async (request, response) => {
    const path = (request.url ?? '').split('?')[0] ?? '';
    const reads = request.method === 'GET' || request.method === 'HEAD';
    const nothing = { status: 404, headers: {}, body: 'there are /healthz, /readyz and /metrics\n' };
    try {
      const answer = reads && (await answerHealth(source, path, request.headers.authorization));
      const { status, headers, body } = answer || nothing;
      response.writeHead(status, headers).end(request.method === 'HEAD' ? '' : body);
    } catch (error) {
      log.error({ path, err: messageOf(error) }, 'health: request failed');
      response.writeHead(500).end();
    }
  });
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject).listen(port, host, resolve);
  });
  server.on('error', (error) => log.warn({ err: error.message }, 'health port'));
  log.info({ host, port: (server.address() as AddressInfo).port }, 'health and metrics');
  return async () => {
    const closed = new Promise<void>((resolve) => server.close(() => resolve()));
    server.closeAllConnections(); // Prometheus keeps its connection
    await closed;
  };
}
