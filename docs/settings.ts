import { join } from 'node:path';
import { z } from 'zod';
import { formOf, settings } from '../src/config/settings.ts';
import { trackingSettings } from '../src/tracking/index.ts';
import { couriers } from '../src/tracking/registry.ts';

/** docs/settings.md, generated from the schemas (O7). */
export const SETTINGS_PAGE = join(import.meta.dirname, 'settings.md');

/**
 * Headings with patterns of the names below them, and an optional introduction. A name is in the first group that it
 * matches.
 */
const GROUPS: readonly (readonly [heading: string, names: RegExp, note?: string])[] = [
  ['Databases and keys', /^(DATABASE_URL|PGSSL|REDIS_URL|CREDENTIALS_)/],
  ['Processes', /^(LOG_LEVEL|SHUTDOWN_GRACE|OTEL_)/],
  ['Web, metrics and events', /^(HOST|PORT|PUBLIC_|METRICS_|DASHBOARD_|TRUSTED_|EVENTS_)/],
  ['Temu', /^TEMU_/, 'The defaults are the real ones.'],
  ['What is kept', /^(PERSONAL_DATA_|ARCHIVE_)/],
  ['Slack', /^SLACK_|_CHANNEL_ID$/, 'Invite the bot to each channel that you set.'],
  ['Email', /^(SMTP_|EMAIL_|REPORTS)/],
  ['Tracking', /^(TRACK|BUFFER_)/, 'A tracker is on when its credentials, below, are set.'],
  ['Others', /^/],
];

export interface Setting {
  name: string;
  /** Description. */
  what: string;
  /** Format of the value; `text` for any. */
  form: string;
  required: boolean;
  /** As written in the environment; '' for none. */
  default: string;
  /** The effective value while it is not set, if not the schema's default. */
  usual?: string | undefined;
  /** An example value, if required. */
  example?: string | undefined;
}

export interface Group {
  heading: string;
  note?: string | undefined;
  settings: Setting[];
}

type Fields = Record<string, z.ZodType>;

/** Every setting once, group by group; always the same for the same schemas. */
export function groupsOfSettings(): Group[] {
  const left = new Map(Object.entries(settings.shape as Fields));
  const groups = GROUPS.map(([heading, names, note]): Group => {
    const own = [...left].filter(([name]) => names.test(name));
    for (const [name] of own) left.delete(name);
    return { heading, note, settings: own.map(([name, field]) => settingOf(name, field)) };
  });
  return [...groups, ...groupsOfCouriers(), DIRECTORY].filter((group) => group.settings.length > 0);
}

/** Groups of the settings that several couriers share, and one group per courier. */
function groupsOfCouriers(): Group[] {
  const all = trackingSettings as Fields;
  const names = [...new Set(couriers.flatMap((one) => Object.keys(one.settings)))];
  const readersOf = (name: string) =>
    couriers.filter((one) => name in one.settings).map(({ title }) => title);
  const shared = names.filter((name) => readersOf(name).length > 1);
  const headingOf = (name: string) => new Intl.ListFormat('en').format(readersOf(name));
  const ofEach = couriers.map((courier): Group => {
    const prefix = courier.name.toUpperCase().replaceAll('-', '_');
    const own = courier.limit?.(z.object(courier.settings).parse({}));
    const usual: Record<string, string> = {
      [`${prefix}_LIMIT`]: own ? `${own.max}/${own.seconds}` : 'none',
      [`${prefix}_EVERY`]: String(courier.everyMs / 1000),
      ...(courier.dailyLimit ? { [`${prefix}_DAILY_LIMIT`]: String(courier.dailyLimit) } : {}),
    };
    const its = Object.keys(courier.settings).filter((name) => readersOf(name).length === 1);
    return {
      heading: courier.title,
      settings: [...its, ...Object.keys(usual)].map((name) =>
        settingOf(name, all[name] as z.ZodType, usual[name]),
      ),
    };
  });
  const ofSeveral = [...new Set(shared.map(headingOf))].map((heading): Group => {
    const its = shared.filter((name) => headingOf(name) === heading);
    return { heading, settings: its.map((name) => settingOf(name, all[name] as z.ZodType)) };
  });
  return [...ofSeveral, ...ofEach];
}

/** Read before the settings are parsed. */
const DIRECTORY: Group = {
  heading: 'The directory of `orderfleet up`',
  settings: [
    {
      name: 'ORDERFLEET_HOME',
      what: 'where `orderfleet up` keeps its embedded database, key and logs',
      form: 'a directory',
      required: false,
      default: '.orderfleet',
    },
  ],
};

function settingOf(name: string, field: z.ZodType, usual?: string): Setting {
  const form = formOf(field);
  const unset = field.safeParse(undefined);
  return {
    name,
    what: field.description ?? '',
    form: form === 'another value' ? 'text' : form,
    required: !unset.success,
    default: [unset.data ?? []].flat().join(','),
    usual,
    example: (field.meta()?.examples as string[] | undefined)?.[0],
  };
}

export const settingsPage = (): string => [HEAD, ...groupsOfSettings().map(section)].join('\n\n');

const HEAD = `<!-- made by \`npm run docs\` from src/config/settings.ts and src/tracking/couriers/; edit those -->

# Settings

Every setting is an environment variable, or a line of \`.env\` in the working directory (\`.env.example\` has them all). An empty value means "not set". A wrong or missing setting stops the start with an error that shows its value and what was expected. \`orderfleet doctor\` tests the connections.`;

const section = (group: Group): string =>
  [
    `## ${group.heading}`,
    '',
    ...(group.note ? [group.note, ''] : []),
    '| Name | Description | Value | Default |',
    '| --- | --- | --- | --- |',
    ...group.settings.map(row),
    '',
  ]
    .join('\n')
    .trimEnd();

function row({ name, what, form, required, usual, ...setting }: Setting): string {
  const value = usual ?? setting.default;
  const shown = required ? '**required**' : value ? `\`${value}\`` : '–';
  const cells = [`\`${name}\``, what, form, shown];
  return `| ${cells.map((cell) => cell.replaceAll('|', '\\|')).join(' | ')} |`;
}
