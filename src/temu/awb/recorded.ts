import type { Outcome } from '../../queue/handle.ts';

/** The result of an event. */
export type Recorded =
  /** Nothing new: already recorded, or its AWB was sent to Temu. */
  | { is: 'known' }
  /** Waits for its order, or since it could not be written: `why`. */
  | { is: 'waiting'; why?: string }
  | { is: 'parked'; why: string }
  /** Its order is from another marketplace, which gets no pushes. */
  | { is: 'recorded'; source: string }
  /** The order's pushes are due now. */
  | { is: 'due'; orderId: string };

/** The same for the log. */
export function outcomeOf(recorded: Recorded): Outcome {
  switch (recorded.is) {
    case 'known':
      return { outcome: 'known already' };
    case 'waiting':
      return { outcome: 'waiting', ...(recorded.why === undefined ? {} : { why: recorded.why }) };
    case 'parked':
      return { outcome: 'parked', why: recorded.why };
    case 'recorded':
      return { outcome: 'recorded', source: recorded.source };
    case 'due':
      return { outcome: 'recorded' };
  }
}
