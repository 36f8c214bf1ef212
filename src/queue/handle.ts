import { isDeepStrictEqual } from 'node:util';
import { DelayedError, type Job, UnrecoverableError } from 'bullmq';
import { z } from 'zod';
import { actionOf, FailureError, kindOf, messageOf, withoutParameters } from '../lib/errors.ts';
import { isInfrastructureFault } from '../lib/infrastructure.ts';
import type { Log } from '../lib/log.ts';
import type { Metrics } from '../lib/metrics.ts';
import { readableStack } from '../lib/stack.ts';
import type { Traces } from '../lib/traces.ts';
import { backoffMs, type QueueDefinition, seconds } from './define.ts';

export interface JobContext {
  /** Aborted when the process must stop or the job's time is up. */
  signal: AbortSignal;
  log: Log;
  /** True when another worker had this job and died or hung. */
  redelivered: boolean;
}

/** The result of a job, for the log line and Bull Board: plain data, no personal data. */
export type Outcome = { outcome: string } & Record<string, string | number | boolean | null>;

/** Where a job's end is reported: the log and, where the process has them, metrics and traces. */
export interface JobTools {
  log: Log;
  metrics?: Metrics;
  traces?: Traces | undefined;
}

export interface Handler {
  definition: QueueDefinition<never>;
  process(job: Job, token: string, signal: AbortSignal, tools: JobTools): Promise<Outcome>;
}

/** Thrown by a handler to have its job delivered again later; consumes no attempt. */
export class Wait extends Error {
  override name = 'Wait';
  readonly ms: number;
  constructor(ms: number, reason: string) {
    super(reason);
    this.ms = ms;
  }
}

/**
 * Why a job's signal aborts when its time is up: unlike a shutdown, that is the job's own fault and costs an attempt.
 */
export class TimeUp extends Error {
  override name = 'TimeUp';
}

/** Why a worker aborts its jobs at shutdown; such a job is handed back. */
export const SHUTDOWN = 'the process is shutting down';
/** A job hit by an infrastructure fault comes back after this long. */
export const INFRASTRUCTURE_PAUSE_MS = seconds(5);

/**
 * Wraps a handler: parses the payload, limits the time, writes one log line per job, and maps what it throws to one
 * action:
 * - payload that does not fit, or a failure that is final: the job fails at once, visibly, and is never retried;
 * - Wait, throttling, Postgres or Redis away, shutdown: the job is handed back and consumes no attempt (R2);
 * - anything else: retried with backoff until the queue's attempts are used up.
 */
export function handle<P>(
  definition: QueueDefinition<P>,
  handler: (payload: P, context: JobContext) => Promise<Outcome>,
): Handler {
  async function process(
    job: Job,
    token: string,
    jobSignal: AbortSignal,
    { log, metrics, traces }: JobTools,
  ): Promise<Outcome> {
    const startedAt = performance.now();
    const ended = metrics?.job(definition.name) ?? (() => {});
    const timeUp = new AbortController();
    const tooLong = `took longer than ${definition.timeoutMs / 1000} s`;
    const signal = AbortSignal.any([jobSignal, timeUp.signal]);
    // made when it is needed: a child costs as much as a small job does
    let child: Log | undefined;
    const jobLog = () => {
      child ??= log.child({ queue: definition.name, job: job.id });
      return child;
    };
    const done = (fields: Record<string, unknown>) => ({
      ...fields,
      ms: Math.round(performance.now() - startedAt),
      waitedMs: Math.max(
        0,
        Math.round((job.processedOn ?? Date.now()) - job.timestamp - (job.opts.delay ?? 0)),
      ),
    });
    const handBack = async (ms: number, why: string, fault?: unknown): Promise<never> => {
      // while a store is away all jobs come back again and again: they are counted (outages.ts), not logged one by
      // one
      jobLog()[fault ? 'debug' : 'info'](done({ outcome: 'handed back', why, forMs: ms }), 'job');
      ended('handed_back');
      await job.moveToDelayed(Date.now() + ms, token);
      throw Object.assign(new DelayedError(why), { cause: fault });
    };

    // whatever the producer set: a failed job may be the only copy, so it is kept until somebody removes it (A2)
    if (definition.fromOutside) job.opts.removeOnFail = false;
    const parsed = definition.payload.safeParse(job.data);
    if (!parsed.success) {
      const message = `payload refused: ${z.prettifyError(parsed.error).replace(/\s+/g, ' ')}`;
      jobLog().error(done({ outcome: 'malformed', why: message }), 'job');
      ended('malformed');
      traces?.failed('malformed');
      if (definition.fromOutside) await stripUnknownFields(job, definition.payload);
      throw new UnrecoverableError(message);
    }
    // a timer that ends with its job: AbortSignal.timeout would outlive each by minutes
    const timer = setTimeout(() => timeUp.abort(new TimeUp(tooLong)), definition.timeoutMs);
    try {
      if (definition.fromOutside) await stripUnknownFields(job, definition.payload);
      const outcome = await handler(parsed.data, {
        signal,
        get log() {
          return jobLog();
        },
        redelivered: job.stalledCounter > 0,
      });
      if (log.isLevelEnabled('info')) jobLog().info(done(outcome), 'job');
      ended('done'); // the handler's own outcome is in the log: there are too many for a metric
      return outcome;
    } catch (thrown) {
      const error = withoutParameters(thrown); // BullMQ keeps message and stack of what is thrown
      if (error instanceof Wait) return await handBack(error.ms, error.message);
      if (jobSignal.aborted) return await handBack(0, SHUTDOWN);
      if (error instanceof FailureError) {
        const action = actionOf(error.failure);
        if (action === 'wait')
          return await handBack(error.failure.retryAfterMs ?? seconds(30), error.message);
        if (action !== 'retry' && action !== 'retryLater') {
          jobLog().error(done({ outcome: error.failure.kind, why: error.message }), 'job');
          ended(error.failure.kind);
          traces?.failed(kindOf(error));
          throw new UnrecoverableError(error.message);
        }
      } else if (isInfrastructureFault(error)) {
        return await handBack(INFRASTRUCTURE_PAUSE_MS, messageOf(error), error);
      }
      const why = timeUp.signal.aborted ? tooLong : messageOf(error);
      jobLog().error(
        done({ outcome: 'error', why, attempt: job.attemptsMade + 1, stack: stackOf(error) }),
        'job',
      );
      ended('error');
      traces?.failed(timeUp.signal.aborted ? 'TimeUp' : kindOf(error));
      throw error;
    } finally {
      clearTimeout(timer);
    }
  }
  return { definition: definition as unknown as QueueDefinition<never>, process };
}

/** Ended jobs are kept for reference: unknown fields may contain anything (T18). */
async function stripUnknownFields(job: Job, payload: z.ZodType): Promise<void> {
  const known = knownFields(job.data, payload);
  if (!isDeepStrictEqual(known, job.data)) await job.updateData(known);
}

function knownFields(data: unknown, schema: unknown): unknown {
  if (schema instanceof z.ZodOptional || schema instanceof z.ZodDefault)
    return knownFields(data, schema.unwrap());
  if (schema instanceof z.ZodArray)
    return Array.isArray(data) ? data.map((one) => knownFields(one, schema.element)) : null;
  if (schema instanceof z.ZodObject)
    return Object.fromEntries(
      Object.entries(schema.shape).flatMap(([name, field]) =>
        isObject(data) && name in data ? [[name, knownFields(data[name], field)]] : [],
      ),
    );
  // a text where a text belongs; an object may contain anything
  return isObject(data) ? null : data;
}

const isObject = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null;

const stackOf = (error: unknown) =>
  error instanceof FailureError || !(error instanceof Error) ? undefined : readableStack(error.stack ?? '');

export const retryDelay = (definition: QueueDefinition<never>) => (attemptsMade: number) =>
  backoffMs(definition.backoff, attemptsMade);
