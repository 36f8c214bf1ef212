import { Counter, collectDefaultMetrics, Gauge, Histogram, Registry } from 'prom-client';

/** Call once, with the outcome. */
type End = (outcome: string) => void;

/**
 * Metrics of one process (O4). Labels are names from the code, never a store, an order or an address: the number of series
 * is constant.
 */
export interface Metrics {
  /**
   * Starts a request to an external API: temu, slack, smtp, webhook or a tracker's name.
   * The outcome: `ok`, or the kind of failure as the caller understood the response; `wrong_region` for a Temu host that
   * does not know the store, which is how the right one is found.
   */
  request(api: string): End;
  /** Starts a job. The outcome: done, handed_back, malformed, a kind of failure, or error. */
  job(queue: string): End;
  /** Adds Node's default metrics (memory, CPU, event loop lag); once per process. */
  observeProcess(): void;
  /** Exports the state of /healthz as a metric, for monitoring that does not probe it. */
  observeHealth(isWell: () => boolean): void;
  /** Everything in Prometheus' text format. */
  text(): Promise<string>;
}

/** Content type of Prometheus's text format, also of the fleet-wide metrics. */
export const METRICS_TYPE = Registry.PROMETHEUS_CONTENT_TYPE;

/** Seconds, from a local call to the longest timeout. */
const REQUEST_SECONDS = [0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 15, 30];
/** Seconds. A batch may wait for its limit, and a window of 90 days has a thousand pages. */
const JOB_SECONDS = [0.01, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 15, 60, 300, 1_800];

/** With its own registry, for tests with several fleets in one process. */
export function createMetrics(): Metrics {
  const registry = new Registry();
  const registers = [registry];
  const requests = new Counter({
    name: 'orderfleet_api_requests_total',
    help: 'Requests to external APIs, by outcome',
    labelNames: ['api', 'outcome'],
    registers,
  });
  const requestSeconds = new Histogram({
    name: 'orderfleet_api_request_duration_seconds',
    help: 'From sending a request to the end of its response, without the wait for the rate limit',
    labelNames: ['api'],
    buckets: REQUEST_SECONDS,
    registers,
  });
  const jobSeconds = new Histogram({
    name: 'orderfleet_job_duration_seconds',
    help: 'From start to end of a job, by outcome',
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
