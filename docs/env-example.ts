import { join } from 'node:path';
import { type Group, groupsOfSettings, type Setting } from './settings.ts';

/** .env.example, generated from the schemas (O7): every setting once, with its default or empty. */
export const ENV_EXAMPLE = join(import.meta.dirname, '../.env.example');

const HEAD = `# Orderfleet's settings, all of them. Copy to .env and fill in what you need; an empty value means "not set".
# Made by \`npm run docs\` from src/config/settings.ts and src/tracking/couriers/: edit those.
#
# Of each tracker: <NAME>_LIMIT is requests/seconds, what may leave in any so many seconds over all processes (off: no
# limit); <NAME>_EVERY is the seconds from one round of its parcels to the next.`;

export const envExample = (): string => `${[HEAD, ...groupsOfSettings().map(section)].join('\n\n')}\n`;

function section({ heading, note, settings }: Group): string {
  const rhythm = settings.filter(({ usual }) => usual !== undefined);
  const others = settings.filter(({ usual }) => usual === undefined);
  // a courier's empty settings come before those with a default
  if (rhythm.length > 0) others.sort((a, b) => Number(a.default !== '') - Number(b.default !== ''));
  return [
    `# ---- ${heading.replaceAll('`', '"')} ----`,
    ...(note ? [...comment(note), '#'] : []),
    ...others.flatMap((setting) => [...comment(wordsOf(setting)), lineOf(setting)]),
    ...(rhythm.length > 0 ? comment(`empty: ${rhythm.map(({ usual }) => usual).join(' and ')}`) : []),
    ...rhythm.map(lineOf),
  ].join('\n');
}

const lineOf = ({ name, example, ...setting }: Setting): string => `${name}=${example ?? setting.default}`;

/** Description, with the format of values that users must choose. */
function wordsOf({ what, form }: Setting): string {
  const choices = form.startsWith('one of ') ? form.slice(7).split(', ') : [];
  if (choices.length > 0 && choices.every((choice) => what.includes(choice))) return what;
  if (form.includes('(')) return `${what}: ${form}`;
  return choices.length > 0 || form.startsWith('at least') ? `${what} (${form})` : what;
}

/** Lines of at most 120 columns. */
const comment = (text: string): string[] =>
  (text.replaceAll('`', '"').match(/.{1,118}(?= |$)/g) ?? []).map((line) => `# ${line.trim()}`);
