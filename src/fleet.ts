import { type Config, loadConfig } from './config.ts';
import { closeDb, createDb, type Db } from './db/client.ts';
import { createSecrets, type Secrets } from './db/secrets.ts';
import { verifyDb } from './db/verify.ts';
import { messageOf, UserError } from './errors.ts';
import { createProbes, type Probes, serveHealth } from './health.ts';
import { createHttp, type Http } from './http.ts';
import { isInfrastructureFault } from './infrastructure.ts';
import { createLog, type Log } from './log.ts';
import { createMetrics, type Metrics } from './metrics.ts';
import type { Handler } from './queue/handle.ts';
import { createQueues, type Queues } from './queue/queues.ts';
import { runWorkers } from './queue/run.ts';
import { createQuota, openLedger, type Quota } from './quota.ts';
import { lookAtStores } from './suitable.ts';
import { createTemuClient, type TemuClient, temuLaw } from './temu/client.ts';
import { createHostMemory } from './temu/stores.ts';
import { startTraces, type Traces } from './traces.ts';
import { createTrackers, type Tracker, trackerQuotas, trackingSettings } from './tracking/index.ts';

/** What every room gets, made once per process and passed down. */
export interface Fleet {
  config: Config;
  log: Log;
  db: Db;
  secrets: Secrets;
  queues: Queues;
  http: Http;
  /** What this process counts of itself, and how it is (O4). */
  metrics: Metrics;
  probes: Probes;
  /** Undefined without a collector. */
  traces: Traces | undefined;
  temu: TemuClient;
  trackers: readonly Tracker[];
  /** The account of each tracker that has a limit. */
  quotas: ReadonlyMap<string, Quota>;
  bufferDays: number;
  clock: () => number;
  /** In order: queues, HTTP, quota, database, traces. */
  close(): Promise<void>;
}

/** Opens nothing that is not used: connections are made at the first query. */
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
  const quota = createQuota(ledger, temuLaw(config.TEMU_QPS));
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

/** Something that listens, in place of a worker's small port; `start` resolves when it does, with how to stop it. */
export interface Server {
  start(): Promise<() => Promise<void>>;
}

export interface Work {
  handlers: readonly Handler[];
  server?: Server;
  /** Done now and again besides, e.g. reconciling schedules; its failure is logged and tried again. */
  also?: { everyMs: number; run(): Promise<void> };
}

/**
 * One worker process from start to exit (O2): SIGTERM or SIGINT stops taking jobs, waits for those in work, hands the
 * rest back, closes everything and exits 0; a second signal cuts the wait short. When the parent that started it with a
 * channel goes away, it stops as well.
 */
export async function runProcess(name: string, work: (fleet: Fleet) => Work): Promise<void> {
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
      else log.error({ err: messageOf(error) }, 'background work failed; it is tried again');
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
    // what hangs for good (a dead network) must not keep the process: the platform would kill it anyway
    setTimeout(() => process.exit(1), (config.SHUTDOWN_GRACE + 15) * 1000).unref();
    await stopServer?.();
    await running.stop(config.SHUTDOWN_GRACE * 1000);
    await stopHealth?.(); // whoever probes is told to the end that it is alive and not ready
    await fleet.close();
    log.info('stopped');
    process.exit(0);
  }
  for (const signal of ['SIGTERM', 'SIGINT'] as const) process.on(signal, () => void stop(signal));
  process.on('disconnect', () => void stop('the parent process is gone'));
  process.on('unhandledRejection', (error) => log.error({ err: messageOf(error) }, 'unhandled rejection'));
  process.on('uncaughtException', (error) => {
    log.fatal({ err: messageOf(error), stack: error.stack }, 'uncaught exception: this process ends');
    process.exit(1);
  });
  // the signals are heard by now: a stop while it starts to listen is an orderly one, too
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

/** A port that is taken is a fault of the environment, too, and so is what a server itself finds in it. */
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
      log.fatal({ err: messageOf(error) }, `cannot listen: is the port taken? ${setting} and HOST say where`);
    process.exit(2);
  }
}

/** A wrong environment ends the start with one line per fault, and nothing else (O7). */
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
