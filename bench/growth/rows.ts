import { OTHERS } from '../../docs/growth/costs.ts';
import type { Measured, Row } from '../../docs/performance.ts';
import { type Figures, rounded } from '../support/turns.ts';

/** What was measured once: a slope needs several sizes rather than several turns of one. */
export const once = (name: string, figures: Figures): Row => ({
  name,
  runs: 1,
  figures: Object.fromEntries(
    Object.entries(figures).map(([figure, value]) => {
      const its = rounded(value);
      return [figure, { median: its, min: its, max: its }];
    }),
  ),
});

/**
 * A part of the case `growth`, whose results docs/growth.md shows.
 * @param others the largest part of the machine that other programs used meanwhile
 */
export const measuredOnce = (
  its: Pick<Measured, 'what' | 'size' | 'rows' | 'checked'>,
  others: number,
): Measured => ({
  ...its,
  ratios: [{ says: OTHERS, value: others }],
  discarded: [],
});
