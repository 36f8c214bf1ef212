/** UTC+05:30, all year; these APIs send it without a zone. */
const IST_MS = 5.5 * 3_600_000;
const DAY_MS = 86_400_000;

/** Cached days: fifty parcels have a thousand times on some ten days. */
const days = new Map<number, string>();
const PAIRS = Array.from({ length: 60 }, (_, value) => String(value).padStart(2, '0'));

/** `2024-09-21T14:31:48.752` by India's clocks. */
function wall(at: number): string {
  const local = at + IST_MS;
  const day = Math.floor(local / DAY_MS);
  let date = days.get(day);
  if (date === undefined) {
    date = new Date(day * DAY_MS).toISOString().slice(0, 10);
    if (days.size < 10_000) days.set(day, date);
  }
  const ms = Math.floor(local - day * DAY_MS);
  const [hour, minute, second] = [
    Math.floor(ms / 3_600_000),
    Math.floor(ms / 60_000) % 60,
    Math.floor(ms / 1000) % 60,
  ];
  return `${date}T${PAIRS[hour]}:${PAIRS[minute]}:${PAIRS[second]}.${String(ms % 1000).padStart(3, '0')}`;
}

/** `2024-09-21T14:31:48.752`, with so many decimals (0–6) and, as recorded, no zeros at their end. */
export function indianTime(at: number, decimals = 0, micros = 0): string {
  const text = wall(at);
  const base = text.slice(0, 19);
  if (decimals === 0) return base;
  const fraction = `${text.slice(20, 23)}${String(micros % 1000).padStart(3, '0')}`.slice(0, decimals);
  let end = fraction.length;
  while (end > 0 && fraction[end - 1] === '0') end--;
  return end === 0 ? base : `${base}.${fraction.slice(0, end)}`;
}

/** `2024-09-21T14:31:48.752000` */
export function indianMicros(at: number): string {
  return `${wall(at).slice(0, 23)}000`;
}

/** `2024-09-21 14:31:48` */
export function indianBlank(at: number): string {
  return wall(at).slice(0, 19).replace('T', ' ');
}

/** `2024-09-21` */
export function indianDate(at: number): string {
  return wall(at).slice(0, 10);
}

const MONTHS = ['Jan', 'Feb', 'Mar', 'Apr', 'May', 'Jun', 'Jul', 'Aug', 'Sep', 'Oct', 'Nov', 'Dec'];

/** `Sep 21, 2024` */
export function indianDay(at: number): string {
  const [year, month, day] = indianDate(at).split('-') as [string, string, string];
  return `${MONTHS[Number(month) - 1]} ${day}, ${year}`;
}

/** `21 Mar 2025, Evening`, as the consumer site writes it. */
export function indianPartOfDay(at: number): string {
  const text = wall(at);
  const [year, month, day] = text.slice(0, 10).split('-') as [string, string, string];
  const hour = Number(text.slice(11, 13));
  const part = hour < 12 ? 'Morning' : hour < 16 ? 'Afternoon' : 'Evening';
  return `${day} ${MONTHS[Number(month) - 1]} ${year}, ${part}`;
}

/** `23 05 2023 11:43:52`, as Shiprocket's webhook writes it. */
export function indianWebhook(at: number): string {
  const [date, time] = indianBlank(at).split(' ') as [string, string];
  const [year, month, day] = date.split('-') as [string, string, string];
  return `${day} ${month} ${year} ${time}`;
}

/** The next midnight in India, epoch milliseconds. */
export function endOfIndianDay(at: number): number {
  return Math.floor((at + IST_MS) / DAY_MS) * DAY_MS + DAY_MS - IST_MS;
}

/** A recorded time, which is India's without a zone, in epoch milliseconds. */
export function indian(text: unknown): number {
  return Date.parse(`${String(text).replace(' ', 'T')}+05:30`);
}
