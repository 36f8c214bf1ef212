import { z } from 'zod';
import { defineQueue, minutes, seconds } from './define.ts';
import { type Handler, handle } from './handle.ts';
import type { Schedule } from './schedules.ts';

/** A recurring task: finding what is due, releasing what waited, cleaning up. */
export interface Task {
  /** Never changes (see Schedule). */
  id: string;
  everyMs: number;
  run(signal: AbortSignal): Promise<Record<string, number>>;
}

const payload = z.object({ v: z.literal(1), task: z.string() });

export const maintenance = defineQueue({
  name: 'maintenance',
  worker: 'scheduler',
  payload,
  concurrency: 5, // one slow task must not hold up the sweep
  attempts: 1, // the schedule brings it back
  backoff: { baseMs: seconds(1), maxMs: seconds(1) },
  timeoutMs: minutes(5),
});

export function maintenanceHandler(tasks: readonly Task[]): Handler {
  return handle(maintenance, async ({ task: id }, { signal }) => {
    const task = tasks.find((one) => one.id === id);
    if (!task) return { outcome: 'no such task', task: id }; // a schedule that outlived its code (R6)
    return { outcome: 'done', task: id, ...(await task.run(signal)) };
  });
}

export const schedulesOf = (tasks: readonly Task[]): Schedule<z.output<typeof payload>>[] =>
  tasks.map(({ id, everyMs }) => ({ id, everyMs, payload: { v: 1, task: id } }));
