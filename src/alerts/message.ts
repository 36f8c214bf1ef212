import { z } from 'zod';
import { cut } from '../storable.ts';
import { PARCEL_KINDS, type ParcelKind } from './routes.ts';

/** What a message is made of: a notice without its fate. */
export interface Told {
  kind: string;
  payload: Record<string, unknown>;
  createdAt: Date;
}

/** Lines of one message; what is beyond is counted. */
const MOST_LINES = 50;
/** Characters of a line in a message of many. */
const LINE_LENGTH = 240;
/** Slack cuts a text at 40,000 characters; a person reads no such message anyway. */
const MOST_CHARACTERS = 12_000;

const HEADINGS: Record<ParcelKind, [one: string, many: string]> = {
  booking_cancelled: ['Booking cancelled', 'bookings cancelled'],
  lost: ['Parcel lost', 'parcels lost'],
  destroyed: ['Parcel destroyed', 'parcels destroyed'],
  'b2b-delivered': ['B2B parcel delivered on its booking day', 'B2B parcels delivered on their booking day'],
};
const MARKS: Record<ParcelKind, string> = {
  ...{ booking_cancelled: '🚫', lost: '🔎', destroyed: '💥' },
  'b2b-delivered': '📦',
};

const text = z
  .union([z.string(), z.number().transform(String)])
  .nullish()
  .catch(null);
/** C12; whatever is missing or of another type is left out rather than the whole notice. */
const parcel = z.object({
  ...{ order: text, source: text, tracker: text, awb: text, courierStatus: text },
  at: z.coerce.date().nullish().catch(null),
});

const isParcel = (kind: string): kind is ParcelKind => (PARCEL_KINDS as string[]).includes(kind);

/** "delhivery-b2c" → "Delhivery B2C". */
export const trackerTitle = (name: string): string =>
  name
    .split('-')
    .map((part) =>
      /^b2[bc]$/.test(part) ? part.toUpperCase() : part.charAt(0).toUpperCase() + part.slice(1),
    )
    .join(' ');

/** "22 Nov 14:05 UTC": readers are in several countries. */
export const shortTime = (time: Date): string =>
  `${time.getUTCDate()} ${MONTHS[time.getUTCMonth()]} ${time.toISOString().slice(11, 16)} UTC`;
const MONTHS = ['Jan', 'Feb', 'Mar', 'Apr', 'May', 'Jun', 'Jul', 'Aug', 'Sep', 'Oct', 'Nov', 'Dec'];

const clip = (line: string, length: number) => (line.length > length ? `${cut(line, length - 1)}…` : line);
const oneLine = (words: string) => words.replace(/\s+/g, ' ').trim();

/** One line about one notice, without its heading. */
export function lineOf({ kind, payload }: Told): string {
  if (!isParcel(kind)) return peopleText(kind, payload);
  const { order, source, tracker, awb, courierStatus, at } = parcel.parse(payload);
  const parts = [
    ...(order ? [`order ${order}${source ? ` (${source})` : ''}`] : []),
    ...(awb ? [`AWB ${awb}`] : []),
    ...(tracker ? [trackerTitle(tracker)] : []),
    ...(courierStatus ? [`“${courierStatus}”`] : []),
    ...(at ? [shortTime(at)] : []),
  ];
  return oneLine(parts.join(' · ')) || kind;
}

/** What needs a person: the store and the text, as `status` shows it. */
function peopleText(kind: string, payload: Record<string, unknown>): string {
  const said = [payload.reason, payload.text].find((one) => typeof one === 'string' && one.trim() !== '');
  const store = typeof payload.store === 'string' ? `${payload.store}: ` : '';
  return oneLine(`${store}${said ?? kind}`);
}

/**
 * Slack's three characters; with them escaped nobody can be mentioned and no link made by what a courier says. `_x_` and
 * `*y*` stay what Slack makes of them: it has no escape for them, and signs that nobody sees would be copied with a number.
 */
const slackText = (plain: string) =>
  plain.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;');

/** One Slack message for all of it (C12): one notice as a sentence, many under a heading per kind. */
export function slackMessage(told: readonly Told[]): string {
  const [first] = told;
  if (first && told.length === 1)
    return `*${heading(first.kind, 1)}*\n${slackText(clip(lineOf(first), 3_000))}`;
  const groups = new Map<string, Told[]>();
  for (const one of told) {
    const group = isParcel(one.kind) ? one.kind : 'people';
    groups.set(group, [...(groups.get(group) ?? []), one]);
  }
  let lines = MOST_LINES;
  let characters = MOST_CHARACTERS;
  const blocks = [...groups].map(([kind, members], index) => {
    // each kind gets its share of the lines, and what those before it have left
    const share = Math.ceil(lines / (groups.size - index));
    const shown: string[] = [];
    for (const one of members.slice(0, share)) {
      const line = `• ${slackText(clip(lineOf(one), LINE_LENGTH))}`;
      if (line.length > characters) break;
      characters -= line.length;
      shown.push(line);
    }
    lines -= shown.length;
    const more = members.length - shown.length;
    return [`*${heading(kind, members.length)}*`, ...shown, ...(more > 0 ? [`… and ${more} more`] : [])].join(
      '\n',
    );
  });
  return blocks.join('\n\n');
}

function heading(kind: string, count: number): string {
  if (!isParcel(kind)) return count === 1 ? '⚠️ Needs a person' : `⚠️ ${count} matters need a person`;
  const [one, many] = HEADINGS[kind];
  return `${MARKS[kind]} ${count === 1 ? one : `${count} ${many}`}`;
}

export interface PeopleMail {
  subject: string;
  items: { time: string; text: string }[];
  /** How many are not among them. */
  more: number;
}

/** The same for a mail: subject, and one paragraph each. */
export function peopleMail(told: readonly Told[]): PeopleMail {
  const [first] = told;
  const subject =
    first && told.length === 1 ? clip(lineOf(first), 120) : `${told.length} matters need a person`;
  const items = told
    .slice(0, MOST_LINES)
    .map((one) => ({ time: shortTime(one.createdAt), text: lineOf(one) }));
  return { subject, items, more: told.length - items.length };
}
