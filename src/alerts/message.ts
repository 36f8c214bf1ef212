import { z } from 'zod';
import { plural } from '../lib/plural.ts';
import { cut } from '../lib/storable.ts';
import { NOTICES } from '../notices/index.ts';
import { PARCEL_KINDS, type ParcelKind } from './routes.ts';

/** A notice as input of a message, without its delivery state. */
export interface Message {
  kind: string;
  payload: Record<string, unknown>;
  createdAt: Date;
}

/** Lines per message; further ones are only counted. */
const MOST_LINES = 50;
/** Characters of a line in a message of many. */
const LINE_LENGTH = 240;
/** Slack cuts a text at 40,000 characters; nobody reads that much anyway. */
const MOST_CHARACTERS = 12_000;

const text = z
  .union([z.string(), z.number().transform(String)])
  .nullish()
  .catch(null);
/** C12; a field that is missing or of another type is left out, not the whole notice. */
const parcel = z.object({
  ...{ order: text, source: text, tracker: text, title: text, awb: text, courierStatus: text },
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
export function lineOf({ kind, payload }: Message): string {
  if (!isParcel(kind)) return operatorText(kind, payload);
  const { order, source, tracker, title, awb, courierStatus, at } = parcel.parse(payload);
  const parts = [
    ...(order ? [`order ${order}${source ? ` (${source})` : ''}`] : []),
    ...(awb ? [`AWB ${awb}`] : []),
    ...(tracker ? [title ?? trackerTitle(tracker)] : []),
    ...(courierStatus ? [`“${courierStatus}”`] : []),
    ...(at ? [shortTime(at)] : []),
  ];
  return oneLine(parts.join(' · ')) || kind;
}

/** A notice for operators: the store and the text, as `status` shows it. */
function operatorText(kind: string, payload: Record<string, unknown>): string {
  const said = [payload.reason, payload.text].find((one) => typeof one === 'string' && one.trim() !== '');
  const store = typeof payload.store === 'string' ? `${payload.store}: ` : '';
  return oneLine(`${store}${said ?? kind}`);
}

/**
 * Escapes Slack's three control characters, so that a courier's text can neither mention users nor make links. `_x_` and
 * `*y*` stay formatting: Slack has no escape for them, and invisible characters would be copied along with a number.
 */
const slackText = (plain: string) =>
  plain.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;');

/** One Slack message (C12): one notice as a sentence, several under a heading per kind. */
export function slackMessage(messages: readonly Message[]): string {
  const [first] = messages;
  if (first && messages.length === 1)
    return `*${heading(first.kind, 1)}*\n${slackText(clip(lineOf(first), 3_000))}`;
  const groups = new Map<string, Message[]>();
  for (const one of messages) {
    const group = isParcel(one.kind) ? one.kind : 'operators';
    groups.set(group, [...(groups.get(group) ?? []), one]);
  }
  let lines = MOST_LINES;
  let characters = MOST_CHARACTERS;
  const blocks = [...groups].map(([kind, members], index) => {
    // each kind gets its share of the lines, plus what earlier kinds left over
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
  if (!isParcel(kind)) return `⚠️ ${plural(count, 'issue needs', 'issues need')} attention`;
  const { mark, one, many } = NOTICES[kind];
  return `${mark} ${count === 1 ? one : `${count} ${many}`}`;
}

export interface OperatorMail {
  subject: string;
  items: { time: string; text: string }[];
  /** How many were left out. */
  more: number;
}

/** The same as a mail: a subject, and one paragraph each. */
export function operatorMail(messages: readonly Message[]): OperatorMail {
  const [first] = messages;
  const subject =
    first && messages.length === 1
      ? clip(lineOf(first), 120)
      : plural(messages.length, 'issue needs attention', 'issues need attention');
  const items = messages
    .slice(0, MOST_LINES)
    .map((one) => ({ time: shortTime(one.createdAt), text: lineOf(one) }));
  return { subject, items, more: messages.length - items.length };
}
