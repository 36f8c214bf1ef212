import { setFlagsFromString } from 'node:v8';
import { type Config, loadConfig } from '../config/index.ts';
import { closeDb, createDb, type Db } from '../db/client.ts';
import { createSecrets, type Secrets } from '../db/secrets.ts';
import { verifyDb } from '../db/verify.ts';
import { messageOf, UserError } from '../lib/errors.ts';
import { createHttp, type Http } from '../lib/http.ts';
import { isInfrastructureFault } from '../lib/infrastructure.ts';
import { createLog, type Log } from '../lib/log.ts';
import { createMetrics, type Metrics } from '../lib/metrics.ts';
import { readableStack } from '../lib/stack.ts';
import { startTraces, type Traces } from '../lib/traces.ts';
import type { Handler } from '../queue/handle.ts';
import { createQueues, type Queues } from '../queue/queues.ts';
import { runWorkers } from '../queue/run.ts';
import { createQuota, type Quota } from '../quota/index.ts';
import { openLedger } from '../quota/ledger.ts';
import { createTemuClient, type TemuClient, temuPolicy } from '../temu/client.ts';
import { createHostMemory } from '../temu/stores.ts';
import {
  createTrackers,
  numberWarning,
  type Tracker,
  trackerQuotas,
  trackingSettings,
} from '../tracking/index.ts';
import { createProbes, type Probes, serveHealth } from './health.ts';
import { lookAtStores } from './suitable.ts';

/** Shared dependencies of all modules, created once per process. */
export interface Fleet {
  config: Config;
  log: Log;
  db: Db;
  secrets: Secrets;
  queues: Queues;
  http: Http;
  /** Metrics and health of this process (O4). */
  metrics: Metrics;
  probes: Probes;
  /** Undefined without a collector. */
  traces: Traces | undefined;
  temu: TemuClient;
  trackers: readonly Tracker[];
  /** Rate limits of the trackers that have one. */
  quotas: ReadonlyMap<string, Quota>;
  bufferDays: number;
  /** E9: what couriers know of their numbers, for those who push them. */
  numberWarning: typeof numberWarning;
  clock: () => number;
  /** In order: queues, HTTP, quota, database, traces. */
  close(): Promise<void>;
}

/** Connections are opened on first use. */
export function openFleet(
  config: Config,
  name: string,
  options: { log?: Log; traces?: Traces | undefined } = {},
): Fleet {
  const { traces } = options;
  const log = options.log ?? createLog({ level: config.LOG_LEVEL, name });
  const clock = () => Date.now();
  const db = createDb(config.DATABASE_URL, { name });
  const secrets = createSecrets([config.CREDENTIALS_KEY, ...config.CREDENTIALS_KEYS_OLD]);
  const queues = createQueues({
    redisUrl: config.REDIS_URL,
    databaseUrl: config.DATABASE_URL,
    log,
    telemetry: traces?.telemetry,
  });
  const metrics = createMetrics();
  const probes = createProbes({ queues, verifyDatabase: () => verifyDb(db) });
  metrics.observeHealth(() => probes.healthz().ok);
  const http = createHttp({ traces });
  const ledger = openLedger(config.DATABASE_URL);
  const quota = createQuota(ledger, temuPolicy(config.TEMU_QPS));
  const trackers = createTrackers(config);
  const quotas = trackerQuotas(ledger, trackers);
  const temu = createTemuClient({
    http,
    quota,
    hosts: createHostMemory(db),
    urls: { EU: config.TEMU_EU_URL, US: config.TEMU_US_URL, GLOBAL: config.TEMU_GLOBAL_URL },
    timeoutMs: config.TEMU_TIMEOUT * 1000,
    clock,
    metrics,
    log,
  });
  return {
    config,
    log,
    db,
    secrets,
    queues,
    http,
    metrics,
    probes,
    traces,
    temu,
    trackers,
    quotas,
    bufferDays: config.BUFFER_PERIOD,
    numberWarning,
    clock,
    async close() {
      probes.close();
      await queues.close();
      await http.close();
      for (const one of [quota, ...quotas.values()]) one.close();
      await ledger.close();
      await closeDb(db);
      await traces?.close();
    },
  };
}

/** A server in place of a worker's health port; `start` resolves once it listens, with a function to stop it. */
export interface Server {
  start(): Promise<() => Promise<void>>;
}

export interface Work {
  handlers: readonly Handler[];
  server?: Server;
  /** A periodic task, e.g. reconciling schedules; failures are logged and retried. */
  also?: { everyMs: number; run(): Promise<void> };
}

/**
 * P8: the heap is collected when it has grown by this part of what is in use. V8 would let that of a busy worker become four
 * times as large. A tracking worker under full load holds 171 MB instead of 217, for a tenth more CPU.
 */
const GARBAGE_PERCENT = 100;

/**
 * One worker process from start to exit (O2): SIGTERM or SIGINT drains it (stop taking jobs, finish or release those in
 * work), closes everything and exits 0; a second signal cuts the wait short. It also stops when a parent with an IPC
 * channel exits.
 */
export async function runProcess(name: string, work: (fleet: Fleet) => Work): Promise<void> {
  setFlagsFromString(`--heap-growing-percent=${GARBAGE_PERCENT}`);
  const fleet = await openOrExit(name);
  const { config } = fleet;
  const { log } = fleet;
  await lookAtStores(config, (line) => {
    console.error(line);
    process.exit(2);
  });
  const { handlers, also, server } = work(fleet);
  fleet.metrics.observeProcess();
  const running = runWorkers(handlers, fleet);
  fleet.probes.watch(running.states, running.clock);
  let stopHealth: (() => Promise<void>) | undefined;
  let stopServer: (() => Promise<void>) | undefined;
  let timer: NodeJS.Timeout | undefined;
  const repeat = async () => {
    try {
      await also?.run();
    } catch (error) {
      if (isInfrastructureFault(error)) fleet.queues.outages.note('background work', error);
      else log.error({ err: messageOf(error) }, 'background work failed; retrying');
    }
    if (also && !stopping) timer = setTimeout(repeat, also.everyMs);
  };
  let stopping = false;

  async function stop(why: string) {
    if (stopping) return running.hurry();
    stopping = true;
    fleet.probes.drain();
    log.info({ why, graceSeconds: config.SHUTDOWN_GRACE }, 'stopping');
    clearTimeout(timer);
    // a hanging connection must not keep the process: the platform would kill it anyway
    setTimeout(() => process.exit(1), (config.SHUTDOWN_GRACE + 15) * 1000).unref();
    await stopServer?.();
    await running.stop(config.SHUTDOWN_GRACE * 1000);
    await stopHealth?.(); // probes get "alive, not ready" to the end
    await fleet.close();
    log.info('stopped');
    process.exit(0);
  }
  for (const signal of ['SIGTERM', 'SIGINT'] as const) process.on(signal, () => void stop(signal));
  process.on('disconnect', () => void stop('the parent process is gone'));
  process.on('unhandledRejection', (error) => log.error({ err: messageOf(error) }, 'unhandled rejection'));
  process.on('uncaughtException', (error) => {
    log.fatal(
      { err: messageOf(error), stack: readableStack(error.stack ?? '') },
      'uncaught exception: exiting',
    );
    process.exit(1);
  });
  // signals are handled from here on, so a stop during the start is an orderly one, too
  if (server) stopServer = await listenOrExit(() => server.start(), 'PORT', log);
  else stopHealth = await listenOrExit(() => healthPort(fleet), 'METRICS_PORT', log);
  void repeat();
  log.info(
    { queues: handlers.map(({ definition }) => definition.name), backend: fleet.queues.backend.kind },
    'started',
  );
  process.send?.('started');
}

const healthPort = ({ probes, metrics, config, log }: Fleet) =>
  serveHealth(
    { probes, metrics: metrics.text, token: config.METRICS_TOKEN },
    { port: config.METRICS_PORT, host: config.HOST, log },
  );

/** A taken port is a configuration error, too, and so are those that a server itself reports. */
async function listenOrExit(
  listen: () => Promise<() => Promise<void>>,
  setting: string,
  log: Log,
): Promise<() => Promise<void>> {
  try {
    return await listen();
  } catch (error) {
    if (error instanceof UserError) console.error(error.message);
    else
      log.fatal(
        { err: messageOf(error) },
        `cannot listen: check that the port is free, see ${setting} and HOST`,
      );
    process.exit(2);
  }
}

/** A wrong environment ends the start with one line per error, and nothing else (O7). */
async function openOrExit(name: string): Promise<Fleet> {
  try {
    const config = loadConfig(trackingSettings);
    const log = createLog({ level: config.LOG_LEVEL, name });
    const endpoint = config.OTEL_EXPORTER_OTLP_ENDPOINT;
    const warn = (message: string) => log.warn(message);
    return openFleet(config, name, {
      log,
      traces: endpoint ? await startTraces({ endpoint, role: name, warn }) : undefined,
    });
  } catch (error) {
    if (!(error instanceof UserError)) throw error;
    console.error(error.message);
    process.exit(2);
  }
}
