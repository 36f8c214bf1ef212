import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { parseArgs } from 'node:util';
import { settings } from '../src/config/settings.ts';
import { trackingSettings } from '../src/tracking/index.ts';

const USAGE = `npm run new:courier -- NAME [--title "New Courier"] [--into DIRECTORY]

  NAME     the tracker's name: lower case, digits, single hyphens, as in sameday or dpd-ro
  --title  display name; default: NAME with capitals
  --into   another checkout than this one`;

const ROOT = join(import.meta.dirname, '..');
const TEMPLATES = join(import.meta.dirname, 'courier');

/** Template → where it goes. */
const filesOf = (name: string): readonly (readonly [template: string, file: string])[] => [
  ['tracker.ts', `src/tracking/couriers/${name}.ts`],
  ['stand-in.ts', `sandbox/couriers/apis/${name}.ts`],
  ['tests.ts', `tests/tracking/couriers/${name}.test.ts`],
  ['answer.json', `tests/fixtures/couriers/${name}.answer.json`],
];

/** Names with another meaning: `TRACKERS=none`, `track all`. */
const RESERVED = ['all', 'none', 'guide'];

/**
 * Writes the files of a new courier.
 * @returns what to print
 * @throws Error for arguments that are not valid, and for a name that is taken
 */
export function createCourier(args: string[]): string {
  const { positionals, values } = parseArgs({
    args,
    allowPositionals: true,
    options: { title: { type: 'string' }, into: { type: 'string', default: ROOT } },
  });
  const [name = '', ...more] = positionals;
  if (more.length > 0 || name === '') throw new Error(`expected one NAME\n\n${USAGE}`);
  const files = filesOf(name);
  refuse(name, values.into, files);
  const title = values.title ?? name.split('-').map(capital).join(' ');
  if (!/^[\p{L}\p{N}][\p{L}\p{N} .&+-]{0,39}$/u.test(title))
    throw new Error(`--title ${JSON.stringify(title)}: expected letters, digits and spaces, at most 40`);
  for (const [template, file] of files) {
    const target = join(values.into, file);
    mkdirSync(dirname(target), { recursive: true });
    writeFileSync(target, filled(readFileSync(join(TEMPLATES, template), 'utf8'), name, title));
  }
  format(
    values.into,
    files.map(([, file]) => file),
  );
  return `Created, working with a made-up API:
${files.map(([, file]) => `  ${file}`).join('\n')}

Adapt them to the courier (docs/add-a-courier.md), then:
  npx vitest run tests/tracking/couriers/${name}.test.ts    # its four tests show what to fill in
  npm run docs                                              # settings, .env.example, the README's table
  npm start                                                 # includes it in the demo
`;
}

const prefixOf = (name: string): string => name.toUpperCase().replaceAll('-', '_');
const capital = (word: string): string => `${word.charAt(0).toUpperCase()}${word.slice(1)}`;

/** @throws Error for an invalid or taken name */
function refuse(name: string, into: string, files: ReturnType<typeof filesOf>): void {
  if (!/^[a-z][a-z0-9]*(-[a-z0-9]+)*$/.test(name) || name.length > 40 || RESERVED.includes(name))
    throw new Error(`${JSON.stringify(name)} is not a valid courier name\n\n${USAGE}`);
  const there = files.map(([, file]) => file).filter((file) => existsSync(join(into, file)));
  if (there.length > 0) throw new Error(`courier ${name} already exists: ${there.join(', ')}`);
  const taken = Object.keys({ ...settings.shape, ...trackingSettings }).filter((setting) =>
    ['URL', 'API_KEY', 'LIMIT', 'EVERY'].some((end) => setting === `${prefixOf(name)}_${end}`),
  );
  if (taken.length > 0)
    throw new Error(`${taken.join(', ')} is already another setting: choose another name`);
}

const filled = (template: string, name: string, title: string): string =>
  template
    .replaceAll('new-courier', name)
    .replaceAll('NEW_COURIER', prefixOf(name))
    .replaceAll('New Courier', title)
    .replaceAll('new-text', name.split('-')[0] as string);

/** The name's length changes line breaks. Without the formatter the files work too. */
function format(into: string, files: readonly string[]): void {
  const biome = join(ROOT, 'node_modules/.bin/biome');
  spawnSync(biome, ['format', '--write', '--vcs-enabled=false', ...files], { cwd: into, stdio: 'ignore' });
}
