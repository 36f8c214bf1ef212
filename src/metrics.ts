import { Counter, collectDefaultMetrics, Gauge, Histogram, Registry } from 'prom-client';

/** To be called once, with what became of it. */
type End = (outcome: string) => void;

/**
 * What a process counts of itself (O4). Labels are names that the code has, never a store, an order or an address: the
 * number of series stays the same however much is worked.
 */
export interface Metrics {
  /**
   * A request leaves for somebody else's API: temu, slack, smtp, webhook or a tracker's name.
   * The outcome: `ok`, or the kind of failure that its answer meant to the caller who can read it; `wrong_region` for a
   * host of Temu's that does not know the store, which is how the right one is found.
   */
  request(api: string): End;
  /** A job is taken. The outcome: done, handed_back, malformed, a kind of failure, or error. */
  job(queue: string): End;
  /** Counts memory, processor time, the event loop's lag and the like as well; once per process. */
  observeProcess(): void;
  /** Tells at each reading whether /healthz says that this process is well: not everybody who watches it asks that. */
  observeHealth(isWell: () => boolean): void;
  /** Everything in Prometheus' text format. */
  text(): Promise<string>;
}

/** Of Prometheus' text format, which fleet-wide numbers share. */
export const METRICS_TYPE = Registry.PROMETHEUS_CONTENT_TYPE;

/** Seconds. From what a local call takes to the time-outs of the slowest. */
const REQUEST_SECONDS = [0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 15, 30];
/** Seconds. A batch may wait for its limit, and a window of 90 days has a thousand pages. */
const JOB_SECONDS = [0.01, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 15, 60, 300, 1_800];

/** A registry of its own: several fleets in one process, as tests have them, count apart. */
export function createMetrics(): Metrics {
  const registry = new Registry();
  const registers = [registry];
  const requests = new Counter({
    name: 'orderfleet_api_requests_total',
    help: 'Requests to the APIs of others, by what their answer meant',
    labelNames: ['api', 'outcome'],
    registers,
  });
  const requestSeconds = new Histogram({
    name: 'orderfleet_api_request_duration_seconds',
    help: 'From a request’s leaving to the end of its answer, without the wait for the quota',
    labelNames: ['api'],
    buckets: REQUEST_SECONDS,
    registers,
  });
  const jobSeconds = new Histogram({
    name: 'orderfleet_job_duration_seconds',
    help: 'From a job’s being taken to its end, by what became of it',
    labelNames: ['queue', 'outcome'],
    buckets: JOB_SECONDS,
    registers,
  });

  return {
    request(api) {
      const seconds = stopwatch();
      return (outcome) => {
        requests.inc({ api, outcome });
        requestSeconds.observe({ api }, seconds());
      };
    },
    job(queue) {
      const seconds = stopwatch();
      return (outcome) => jobSeconds.observe({ queue, outcome }, seconds());
    },
    observeProcess: () => collectDefaultMetrics({ register: registry }),
    observeHealth: (isWell) =>
      void new Gauge({
        name: 'orderfleet_healthy',
        help: '1, or 0 while /healthz of this process answers 503',
        registers,
        collect() {
          this.set(Number(isWell()));
        },
      }),
    text: () => registry.metrics(),
  };
}

function stopwatch(): () => number {
  const startedAt = performance.now();
  return () => (performance.now() - startedAt) / 1000;
}
