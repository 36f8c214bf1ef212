import type { BullMQOtel } from 'bullmq-otel';

/**
 * OpenTelemetry traces (O4): from what puts a job on a queue, through the jobs that follow from it, to the requests that
 * leave. Kept apart: without a collector none of the libraries below is even loaded.
 */
export interface Traces {
  /** For queues and workers: jobs carry their trace along. */
  telemetry: BullMQOtel;
  /**
   * Work that is a request to somebody else's API, as a span of the trace that it belongs to.
   * @param outcome what the span says of its result
   */
  outgoing<T>(request: OutgoingRequest, work: () => Promise<T>, outcome: (result: T) => Ended): Promise<T>;
  /** Work that a request from outside asks for, in the trace that its W3C header `traceparent` names, if it has one. */
  incoming<T>(headers: Record<string, string>, work: () => T): T;
  /**
   * The job in work has failed: its span says so.
   * @param why in words that anybody may read: a kind of failure, and its code where it has one
   */
  failed(why: string): void;
  /** Sends what is left, for three seconds at most. */
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
  /** A kind of failure: no words of others, which might repeat what we sent. */
  failure?: string;
}

interface TracesOptions {
  /** OTEL_EXPORTER_OTLP_ENDPOINT: spans go to /v1/traces below it. */
  endpoint: string;
  /** The process's name: temu, awb, … */
  role: string;
  /** Told at most every ten minutes that the collector takes nothing. */
  warn(message: string): void;
}

/** A collector that is slow must not hold up a process that stops; the grace period is longer. */
const FLUSH_MS = 3_000;
const WARN_EVERY_MS = 10 * 60_000;
/** How long the collector may take for a batch of spans, tries included: less than the flush at the end. */
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
          // also one that BullMQ gives up by itself, of which no handler could tell
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
        // the address of a webhook is its owner's, and may be a secret: many are
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

/** The event that BullMQ gives the span of a job which has failed, for good or for this time. */
const JOB_FAILED = 'job failed';

/** What BullMQ does by itself every few seconds in each worker: nothing that anybody's work follows from. */
const IDLING = new Set(['moveStalledJobsToWait', 'extendLocks', 'getNextJob']);

/**
 * What of a span leaves the house. BullMQ adds ids, results and reasons, in which numbers of parcels stand (T18); what is
 * not named here is dropped.
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
