import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { z } from 'zod';
import { formOf, settings } from '../src/settings.ts';
import { couriers } from '../src/tracking/catalogue.ts';
import { trackingSettings } from '../src/tracking/index.ts';

/** `npm run docs` writes docs/settings.md from the schemas (O7); tests/docs.test.ts fails while it is out of date. */
export const SETTINGS_PAGE = join(import.meta.dirname, 'settings.md');

/** Headings with the names below them, in the order of the page. A name is in the first group that it fits. */
const GROUPS: readonly (readonly [heading: string, names: RegExp])[] = [
  ['Databases and keys', /^(DATABASE_URL|PGSSL|REDIS_URL|CREDENTIALS_)/],
  ['Processes', /^(LOG_LEVEL|SHUTDOWN_GRACE|OTEL_)/],
  ['Web, metrics and events', /^(HOST|PORT|PUBLIC_|METRICS_|DASHBOARD_|TRUSTED_|EVENTS_)/],
  ['Temu', /^TEMU_/],
  ['Personal data', /^PERSONAL_DATA_/],
  ['Slack', /^SLACK_|_CHANNEL_ID$/],
  ['Mail', /^(SMTP_|EMAIL_|REPORTS)/],
  ['Tracking', /^(TRACK|BUFFER_)/],
  ['Others', /^/],
];

type Fields = Record<string, z.ZodType>;

/** The page, always the same for the same schemas. */
export function settingsPage(): string {
  const left = new Map(Object.entries(settings.shape as Fields));
  const groups = GROUPS.map(([heading, names]) => {
    const own = [...left].filter(([name]) => names.test(name));
    for (const [name] of own) left.delete(name);
    return section(
      heading,
      own.map(([name, field]) => row(name, field)),
    );
  });
  return [HEAD, ...groups.filter(Boolean), ...courierSections(), FOOT].join('\n\n');
}

/** One section for what several couriers read, and one for each of them. */
function courierSections(): string[] {
  const all = trackingSettings as Fields;
  const shared = new Set(
    couriers.flatMap((one) =>
      Object.keys(one.settings).filter((name) =>
        couriers.some((other) => other !== one && name in other.settings),
      ),
    ),
  );
  const ofEach = couriers.map((courier) => {
    const prefix = courier.name.toUpperCase().replaceAll('-', '_');
    const own = courier.limit?.(z.object(courier.settings).parse({}));
    const usual: Record<string, string> = {
      [`${prefix}_LIMIT`]: own ? `${own.max}/${own.seconds}` : 'none',
      [`${prefix}_EVERY`]: String(courier.everyMs / 1000),
    };
    const names = Object.keys(courier.settings).filter((name) => !shared.has(name));
    return section(
      courier.title,
      [...names, ...Object.keys(usual)].map((name) => row(name, all[name] as z.ZodType, usual[name])),
    );
  });
  const ofSeveral = [...shared].map((name) => row(name, all[name] as z.ZodType));
  return [section('Several trackers', ofSeveral), ...ofEach].filter(Boolean);
}

const HEAD = `<!-- made by \`npm run docs\` from src/settings.ts and src/tracking/couriers/; edit those -->

# Settings

Every setting is an environment variable, or a line of \`.env\` in the working directory (\`.env.example\` has them all). An empty value means "not set". A wrong or missing one stops the start with a line that says what it holds and what it wants. \`orderfleet doctor\` tries those that lead somewhere.`;

const FOOT = `## The directory of \`orderfleet up\`

| Name | What it is | Form | Default |
| --- | --- | --- | --- |
| \`ORDERFLEET_HOME\` | where \`orderfleet up\` keeps its embedded database, key and logs | a directory | \`.orderfleet\` |
`;

const section = (heading: string, rows: readonly string[]): string =>
  rows.length > 0
    ? [
        `## ${heading}`,
        '',
        '| Name | What it is | Form | Default |',
        '| --- | --- | --- | --- |',
        ...rows,
      ].join('\n')
    : '';

function row(name: string, field: z.ZodType, usual?: string): string {
  const words = formOf(field);
  const form = words === 'another value' ? 'text' : words;
  const cells = [`\`${name}\``, field.description ?? '', form, usual ? `\`${usual}\`` : defaultOf(field)];
  return `| ${cells.map((cell) => cell.replaceAll('|', '\\|')).join(' | ')} |`;
}

function defaultOf(field: z.ZodType): string {
  const parsed = field.safeParse(undefined);
  if (!parsed.success) return '**required**';
  const text = [parsed.data ?? []].flat().join(', ');
  return text ? `\`${text}\`` : '–';
}

if (process.argv[1] === import.meta.filename) writeFileSync(SETTINGS_PAGE, settingsPage());
