/** The shortest observed response time may exceed the shortest route by this much. */
const GUARD_MS = 3;
/** For the usual response time an outlier counts at most as this multiple of it. */
const OUTLIER = 2;
/** How fast the usual response time follows observations; and how fast the shortest one decays. */
const FOLLOW = 0.05;
const FORGET = 0.002;
/**
 * What a request took beyond the shortest of its kind is the most that it can have been late; how much of it was the
 * route and how much the server's work is unknown. So cells stay unused for all of it as long as that costs no more
 * than this part of the account on average, saved up for bad moments over as many requests. Beyond that, for the part
 * that exceeds the usual time.
 */
const CAUTION = 0.015;
const SLACK_BUDGET_REQUESTS = 150;
/**
 * Before this many responses of a kind the shortest is no measure: the first requests open connections, on both
 * sides.
 */
const KNOWN = 20;

/** How late the requests of an account may have arrived, by how long their responses took (T17). */
export interface Lateness {
  /**
   * To be called once for each response.
   * @param kind calls that take about as long as each other
   * @param unreportedMs how late the slot was used: the tolerance covers both
   * @returns milliseconds, 0 for most
   */
  of(kind: string, tookMs: number, unreportedMs: number): number;
}

/** @param perMs the limit's window; `toleranceMs`: how much longer cells stay unused */
export function createLateness({ perMs, toleranceMs }: { perMs: number; toleranceMs: number }): Lateness {
  // without a tolerance the policy is already below the API's limit, and needs no caution either
  const cautionMs = toleranceMs > 0 ? perMs * CAUTION : 0;
  /** Response times in milliseconds, by kind: usual and shortest. */
  const latencies = new Map<string, { answers: number; usualMs: number; leastMs: number }>();
  /** Milliseconds that cells may still stay unused out of caution. */
  let slackBudgetMs = cautionMs * SLACK_BUDGET_REQUESTS;
  return {
    of(kind, tookMs, unreportedMs) {
      const slackMs = toleranceMs > 0 ? toleranceMs - unreportedMs - GUARD_MS : 0;
      const { answers, usualMs, leastMs } = latencies.get(kind) ?? {
        answers: 0,
        usualMs: tookMs,
        leastMs: tookMs,
      };
      latencies.set(kind, {
        answers: answers + 1,
        usualMs: usualMs + (Math.min(tookMs, usualMs * OUTLIER) - usualMs) * FOLLOW,
        leastMs: tookMs < leastMs ? tookMs : leastMs + (tookMs - leastMs) * FORGET,
      });
      const surely = Math.max(0, tookMs - usualMs - slackMs);
      const possibly = Math.max(0, tookMs - (answers < KNOWN ? 0 : leastMs) - slackMs);
      const late = Math.max(surely, Math.min(possibly, slackBudgetMs));
      slackBudgetMs = Math.min(
        cautionMs * SLACK_BUDGET_REQUESTS,
        Math.max(0, slackBudgetMs - late) + cautionMs,
      );
      return late;
    },
  };
}
