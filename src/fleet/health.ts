import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { constantTimeEqual } from '../lib/constant-time.ts';
import { messageOf } from '../lib/errors.ts';
import type { Log } from '../lib/log.ts';
import { METRICS_TYPE } from '../lib/metrics.ts';
import { withTimeout } from '../lib/with-timeout.ts';
import type { Queues } from '../queue/queues.ts';
import type { WorkerState } from '../queue/run.ts';

/** Response to a probe: only which parts are healthy; no personal data, addresses or secrets. */
export interface Health {
  ok: boolean;
  checks: Record<string, string>;
}

/** Health of one process (O4). */
export interface Probes {
  /**
   * Watches from now on whether these workers take waiting jobs.
   * @param clock why a wrong clock keeps them from it
   */
  watch(workers: readonly WorkerState[], clock?: () => string | undefined): void;
  /** Marks the process as not ready, so that it gets no new requests. */
  drain(): void;
  /** Alive and consuming. Makes no calls: a database that is down is no reason to be killed. */
  healthz(): Health;
  /**
   * Postgres and the queues’ store accept writes, the clock agrees with theirs, and the process is not stopping. Answers
   * in time whatever they do.
   */
  readyz(): Promise<Health>;
  close(): void;
}

export interface ProbeTimes {
  /** Between two checks of the queues of idle workers. */
  lookMs: number;
  /** The worker is stuck when work waits this long with a free slot, or with all slots occupied beyond the job timeout. */
  starvingMs: number;
  /** A store that does not answer within this time is down. */
  answerMs: number;
}

/** Probes time out after a few seconds: the response comes within two. */
const TIMES: ProbeTimes = { lookMs: 10_000, starvingMs: 60_000, answerMs: 1_500 };

interface ProbeDeps {
  queues: Queues;
  /** Rejects when Postgres does not accept our writes. */
  verifyDatabase(): Promise<unknown>;
}

/** Observed state of one worker. */
interface Watched {
  worker: WorkerState;
  /** Since when every check found waiting work and none taken, epoch milliseconds. */
  starvingSince: number | undefined;
  /** The last check got no answer. */
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
    // with all slots occupied it may take nothing until the job timeout; by then each job has ended or was aborted,
    // unless all hang in something that ignores the signal
    const patienceMs = worker.busy < worker.places ? times.lookMs : worker.timeoutMs;
    const idle = !worker.held() && Date.now() - worker.takenAt >= patienceMs;
    const startedAt = Date.now();
    try {
      const waits = idle && (await withTimeout(times.answerMs, queues.takeable({ name: worker.queue }))) > 0;
      const since = one.starvingSince ?? startedAt;
      // a job taken meanwhile restarts the wait
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

  /** @returns a function that checks one part */
  function ready(what: string, verify: () => Promise<unknown>): () => Promise<string> {
    let trying: Promise<unknown> | undefined;
    return async () => {
      // one check at a time: probes during an outage must not take connection after connection
      trying ??= verify().finally(() => {
        trying = undefined;
      });
      try {
        await withTimeout(times.answerMs, trying);
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
  /** METRICS_TOKEN: bearer token for /metrics; undefined: none. */
  token: string | undefined;
}

export interface HealthAnswer {
  status: 200 | 401 | 503;
  headers: Record<string, string>;
  body: string;
}

/**
 * Handles GET /healthz, /readyz and /metrics (O4), on a worker's health port and in web.
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
  if (token !== undefined && !constantTimeEqual(/^Bearer (.+)$/i.exec(authorization ?? '')?.[1] ?? '', token))
    return {
      status: 401,
      headers: { 'content-type': 'text/plain; charset=utf-8', 'www-authenticate': 'Bearer' },
      body: 'send Authorization: Bearer with the METRICS_TOKEN\n',
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

/** Probes and Prometheus send small requests without a body. In milliseconds. */
const PATIENCE = { headersTimeout: 5_000, requestTimeout: 10_000 };

/**
 * A worker's health port: only those three paths, on Node's own server, so that a worker loads no web framework.
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
    const nothing = { status: 404, headers: {}, body: 'not found: use /healthz, /readyz or /metrics\n' };
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
    server.closeAllConnections(); // Prometheus keeps its connection open
    await closed;
  };
}
