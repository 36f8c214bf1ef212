import { z } from 'zod';
import { couriers } from '../../src/tracking/registry.ts';
import type { CourierLimits } from './simulation.ts';

/** The trackers' own limits and intervals, from their files (C15). */
export const courierLimits = (): CourierLimits[] =>
  couriers.map(({ name, batch, everyMs, limit, mostPerRun, dailyLimit, settings }) => {
    const its = limit?.(z.object(settings).parse({}));
    return {
      ...{ name, batch, every: everyMs / 1000 },
      ...(its ? { limit: its } : {}),
      ...(mostPerRun === undefined ? {} : { mostPerRun }),
      ...(dailyLimit === undefined ? {} : { dailyLimit }),
    };
  });
