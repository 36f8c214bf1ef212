import type { BullMQOtel } from 'bullmq-otel';

/**
 * OpenTelemetry traces (O4): from the producer of a job, through the jobs that follow from it, to external requests.
 * Without a collector none of the libraries is loaded.
 */
export interface Traces {
  /** For queues and workers: propagates traces with jobs. */
  telemetry: BullMQOtel;
  /**
   * A request to an external API, as a span of the current trace.
   * @param outcome describes the result in the span
   */
  outgoing<T>(request: OutgoingRequest, work: () => Promise<T>, outcome: (result: T) => Ended): Promise<T>;
  /** Handles an incoming request, in the trace of its W3C header `traceparent`, if any. */
  incoming<T>(headers: Record<string, string>, work: () => T): T;
  /**
   * Marks the current job's span as failed.
   * @param why without personal data: a kind of failure, and its code if any
   */
  failed(why: string): void;
  /** Flushes, for three seconds at most. */
  close(): Promise<void>;
}

interface OutgoingRequest {
  method: string;
  url: string;
  /** Whose API: temu, slack, webhook or a tracker's name. */
  api?: string | undefined;
}

interface Ended {
  status?: number;
  /** A kind of failure: foreign texts might repeat what we sent. */
  failure?: string;
}

interface TracesOptions {
  /** OTEL_EXPORTER_OTLP_ENDPOINT: spans go to /v1/traces below it. */
  endpoint: string;
  /** The process's name: temu, awb, … */
  role: string;
  /** Called at most every ten minutes while the collector is failing. */
  warn(message: string): void;
}

/** A slow collector must not delay a stopping process; the grace period is longer. */
const FLUSH_MS = 3_000;
const WARN_EVERY_MS = 10 * 60_000;
/** Timeout of a batch of spans, including retries: shorter than the final flush. */
const EXPORT_MS = 2_000;

/** Each process starts this once: OpenTelemetry keeps its tracer and context for the whole process. */
export async function startTraces({ endpoint, role, warn }: TracesOptions): Promise<Traces> {
  const [api, sdk, { OTLPTraceExporter }, { resourceFromAttributes }, { BullMQOtel }] = await Promise.all([
    import('@opentelemetry/api'),
    import('@opentelemetry/sdk-trace-node'),
    import('@opentelemetry/exporter-trace-otlp-http'),
    import('@opentelemetry/resources'),
    import('bullmq-otel'),
  ]);
  const complain = nowAndThen(() =>
    warn('traces cannot be delivered to OTEL_EXPORTER_OTLP_ENDPOINT; work goes on, they are dropped'),
  );
  const silent = () => {};
  api.diag.setLogger(
    { error: complain, warn: silent, info: silent, debug: silent, verbose: silent },
    api.DiagLogLevel.ERROR,
  );
  const exporter = new OTLPTraceExporter({
    url: `${endpoint.replace(/\/+$/, '')}/v1/traces`,
    timeoutMillis: EXPORT_MS,
  });
  const batches = new sdk.BatchSpanProcessor(exporter);
  const provider = new sdk.NodeTracerProvider({
    resource: resourceFromAttributes({
      'service.name': 'orderfleet',
      'service.instance.id': `${role}-${process.pid}`,
      'orderfleet.role': role,
    }),
    spanProcessors: [
      {
        onStart: (span, context) => batches.onStart(span, context),
        onEnd(span) {
          if (IDLING.has(String(span.attributes['bullmq.queue.operation']))) return;
          // also when BullMQ itself fails the job, which no handler sees
          if (span.events.some(({ name }) => name === JOB_FAILED))
            span.status.code = api.SpanStatusCode.ERROR;
          keepOnly(span.attributes);
          for (const event of span.events) event.attributes = {};
          batches.onEnd(span);
        },
        forceFlush: () => batches.forceFlush(),
        shutdown: () => batches.shutdown(),
      },
    ],
  });
  provider.register();
  const tracer = api.trace.getTracer('orderfleet');

  return {
    telemetry: new BullMQOtel(),
    outgoing(request, work, outcome) {
      const { host, pathname } = new URL(request.url);
      const attributes = {
        'http.request.method': request.method,
        'server.address': host,
        // the URL of a webhook endpoint may contain a secret
        ...(request.api === 'webhook' ? {} : { 'url.path': pathname }),
        ...(request.api ? { 'peer.service': request.api } : {}),
      };
      const options = { kind: api.SpanKind.CLIENT, attributes };
      return tracer.startActiveSpan(`${request.method} ${request.api ?? host}`, options, async (span) => {
        try {
          const result = await work();
          const { status, failure } = outcome(result);
          if (status !== undefined) span.setAttribute('http.response.status_code', status);
          if (failure !== undefined) span.setAttribute('error.type', failure);
          if (failure !== undefined || (status ?? 0) >= 400)
            span.setStatus({ code: api.SpanStatusCode.ERROR });
          return result;
        } catch (error) {
          span.setAttribute('error.type', 'aborted').setStatus({ code: api.SpanStatusCode.ERROR });
          throw error;
        } finally {
          span.end();
        }
      });
    },
    failed: (why) =>
      void api.trace
        .getActiveSpan()
        ?.setAttribute('error.type', why.split(' ')[0] ?? why)
        .setStatus({ code: api.SpanStatusCode.ERROR, message: why }),
    incoming: (headers, work) =>
      api.context.with(api.propagation.extract(api.context.active(), headers), work),
    async close() {
      let late: NodeJS.Timeout | undefined;
      const enough = new Promise<void>((resolve) => {
        late = setTimeout(() => {
          complain();
          resolve();
        }, FLUSH_MS);
      });
      await Promise.race([provider.shutdown().catch(complain), enough]);
      clearTimeout(late);
      for (const one of [api.trace, api.context, api.propagation, api.diag]) one.disable();
    },
  };
}

/** The event that BullMQ adds to the span of a failed job, whether it is retried or not. */
const JOB_FAILED = 'job failed';

/** BullMQ's own housekeeping in each worker every few seconds: no work follows from it. */
const IDLING = new Set(['moveStalledJobsToWait', 'extendLocks', 'getNextJob']);

/**
 * Attributes of a span that are exported. BullMQ adds ids, results and reasons, which may contain parcel numbers (T18):
 * anything not listed here is dropped.
 */
const KEPT = new Set([
  ...['http.request.method', 'http.response.status_code', 'server.address', 'url.path', 'peer.service'],
  ...['error.type', 'bullmq.queue.name', 'bullmq.queue.operation', 'bullmq.job.name'],
  ...['bullmq.job.attempts.made', 'bullmq.job.bulk.count', 'bullmq.worker.id'],
]);

function keepOnly(attributes: Record<string, unknown>): void {
  for (const name of Object.keys(attributes)) if (!KEPT.has(name)) delete attributes[name];
}

function nowAndThen(tell: () => void): () => void {
  let quietUntil = 0;
  return () => {
    if (Date.now() < quietUntil) return;
    quietUntil = Date.now() + WARN_EVERY_MS;
    tell();
  };
}
