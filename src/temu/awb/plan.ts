import type { ShippedItem } from '../../db/schema/index.ts';
import { plural } from '../../lib/plural.ts';
import { whyForbidden } from './warnings.ts';

/** An order line with what is still to ship. */
export interface OpenLine {
  /** Our order_item_lines.id, when there is one. */
  id: string | null;
  orderSn: string;
  /** Ordered less cancelled. */
  remaining: number;
  /** Temu's fulfillmentWarning for this line. */
  warnings: readonly string[];
}

export interface Parcel {
  pushId: string;
  awbNumber: string;
  carrier: string;
  /** Null: everything in one parcel. */
  items: readonly ShippedItem[] | null;
  /** When it was received: of several for the whole order the newest counts. */
  createdAt: Date;
}

export interface PlanInput {
  /** orders.status, orders.marketplace_status */
  status: string;
  marketplaceStatus: string | null;
  /** Temu's fulfillmentWarning for the whole order. */
  warnings: readonly string[];
  lines: readonly OpenLine[];
  /** Numbers of this order that Temu already has from us. */
  sent: readonly string[];
  /** The newest of them that is for the whole order. */
  newestSent: { awbNumber: string; createdAt: Date } | null;
  /** What is to be sent. */
  parcels: readonly Parcel[];
}

export interface Package {
  parcel: Parcel;
  contents: { orderSn: string; quantity: number }[];
}

export type Plan =
  | { do: 'confirm'; sendType: 0 | 1; packages: Package[] }
  /** The order has shipped: compare with what Temu has, and update the number where Temu allows it. */
  | { do: 'compare' }
  /** History: a later booking for the whole order has replaced them. */
  | { do: 'replace'; parcels: Parcel[]; by: string }
  | { do: 'wait'; reason: string }
  | { do: 'park'; reason: string; untilOrderChanges: boolean };

const SHIPPED = new Set(['SHIPPED', 'RECEIPTED']);

/** Decides what to do for an order with these parcels (A3). Pure. */
export function planPush(input: PlanInput): Plan {
  const plan = planByState(input);
  return plan.do === 'confirm' ? (forbidden(input, plan.packages) ?? plan) : plan;
}

/** T20: what Temu is sure to refuse is not sent: operators learn why, and what to do, well before the deadline. */
function forbidden({ warnings, lines }: PlanInput, packages: readonly Package[]): Plan | undefined {
  for (const { parcel, contents } of packages) {
    const ofLines = lines.filter(({ orderSn }) => contents.some((one) => one.orderSn === orderSn));
    const reason = whyForbidden([...warnings, ...ofLines.flatMap((line) => line.warnings)], parcel.carrier);
    if (reason) return { do: 'park', reason: `AWB ${parcel.awbNumber}: ${reason}`, untilOrderChanges: true };
  }
  return undefined;
}

function planByState({ status, marketplaceStatus, lines, sent, newestSent, parcels }: PlanInput): Plan {
  const replaced = replacedParcels(parcels, newestSent);
  if (replaced) return replaced;
  if (sent.length > 0 || SHIPPED.has(marketplaceStatus ?? '')) return { do: 'compare' };
  if (status === 'Cancelled')
    return { do: 'park', reason: 'the order is cancelled', untilOrderChanges: true };
  if (status === 'Pending' || marketplaceStatus === 'PENDING')
    return { do: 'wait', reason: 'Temu does not allow shipping yet (order pending)' };

  const open = lines.filter(({ remaining }) => remaining > 0);
  if (open.length === 0)
    return { do: 'park', reason: 'nothing in the order is left to ship', untilOrderChanges: true };
  const whole = parcels.filter(({ items }) => items === null);
  const split = parcels.filter(({ items }) => items !== null);
  const [only] = whole;
  if (only && split.length > 0)
    return {
      do: 'park',
      reason: `AWB ${only.awbNumber} is for the whole order, but ${split.map((one) => one.awbNumber).join(', ')} list items of it`,
      untilOrderChanges: false,
    };
  if (only) {
    const contents = open.map(({ orderSn, remaining }) => ({ orderSn, quantity: remaining }));
    return { do: 'confirm', sendType: 0, packages: [{ parcel: only, contents }] };
  }
  return planSplit(open, split);
}

/**
 * Of several AWBs that are each for the whole order the newest counts, whether sent or not: an older one must never
 * replace a newer one on Temu.
 */
function replacedParcels(parcels: readonly Parcel[], newestSent: PlanInput['newestSent']): Plan | undefined {
  const whole = parcels.filter(({ items }) => items === null);
  const newest = [...whole, ...(newestSent ? [newestSent] : [])].reduce<PlanInput['newestSent']>(
    (last, one) => (last && last.createdAt >= one.createdAt ? last : one),
    null,
  );
  const older = whole.filter((one) => newest && !same(one.awbNumber, newest.awbNumber));
  return newest && older.length > 0 ? { do: 'replace', parcels: older, by: newest.awbNumber } : undefined;
}

/** A split: Temu wants every unit of the order covered in one call (sendType 1), so the parcels wait for each other. */
function planSplit(open: readonly OpenLine[], parcels: readonly Parcel[]): Plan {
  const left = new Map(open.map((line) => [line.orderSn, line.remaining]));
  const packages: Package[] = [];
  for (const parcel of parcels) {
    const contents = new Map<string, number>();
    for (const item of parcel.items ?? []) {
      const line = open.find(({ id, orderSn }) => id === item.orderItemId || orderSn === item.orderItemId);
      if (!line)
        return {
          do: 'park',
          reason: `AWB ${parcel.awbNumber} lists the item ${item.orderItemId}, but the order has none of it left to ship`,
          untilOrderChanges: true,
        };
      left.set(line.orderSn, (left.get(line.orderSn) ?? 0) - item.quantity);
      contents.set(line.orderSn, (contents.get(line.orderSn) ?? 0) + item.quantity);
    }
    packages.push({ parcel, contents: [...contents].map(([orderSn, quantity]) => ({ orderSn, quantity })) });
  }
  const over = [...left].find(([, units]) => units < 0);
  if (over)
    return {
      do: 'park',
      reason: `the parcels contain ${-over[1]} more of line ${over[0]} than there is to ship`,
      untilOrderChanges: true,
    };
  const missing = [...left.values()].reduce((sum, units) => sum + units, 0);
  if (missing > 0)
    return {
      do: 'wait',
      reason: `waiting for the parcels of ${plural(missing, 'more unit')} of the order`,
    };
  return { do: 'confirm', sendType: packages.length > 1 ? 1 : 0, packages };
}

/** A parcel that Temu has for an order, from its read-back. */
export interface KnownPackage {
  packageSn: string;
  trackingNumber: string;
}

export type Comparison =
  | { is: 'sent' }
  | { is: 'change'; packageSn: string }
  | { is: 'missing' }
  | { is: 'conflict'; reason: string };

const same = (a: string, b: string) => a.trim().toUpperCase() === b.trim().toUpperCase();

/**
 * A6: compares our number with Temu's read-back. The same number there: sent. Our own earlier number in its place:
 * re-booked, to be updated. Anything else is a conflict for the operator.
 */
export function compare(
  awbNumber: string,
  known: readonly KnownPackage[],
  earlier: readonly string[],
): Comparison {
  if (known.some(({ trackingNumber }) => same(trackingNumber, awbNumber))) return { is: 'sent' };
  if (known.length === 0) return { is: 'missing' };
  const ours = known.filter(({ trackingNumber }) => earlier.some((one) => same(one, trackingNumber)));
  const [only] = ours;
  if (only && known.length === 1) return { is: 'change', packageSn: only.packageSn };
  const numbers = known.map(({ trackingNumber }) => trackingNumber).join(', ');
  return {
    is: 'conflict',
    reason:
      ours.length > 0
        ? `Temu has several parcels of this order (${numbers}), and it is unknown which one ${awbNumber} replaces: change it in Temu's seller centre`
        : `Temu has ${numbers} for this order, which Orderfleet did not send; ours is ${awbNumber}: decide in Temu's seller centre`,
  };
}
