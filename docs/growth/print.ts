import { parseArgs } from 'node:util';
import { readResults } from '../performance.ts';
import { growthTables } from './page.ts';
import { DEFAULTS, type Inputs } from './simulation.ts';

// `npm run growth -- --stores 200 --parcels 2000000`: the tables of docs/growth.md for other inputs, from what was measured.

const { values } = parseArgs({
  options: Object.fromEntries(Object.keys(DEFAULTS).map((name) => [name, { type: 'string' as const }])),
});
const given = Object.entries(values).map(([name, text]) => {
  const value = Number(text);
  if (!(value > 0 && Number.isFinite(value))) {
    console.error(`--${name} is "${text}"; expected a positive number`);
    process.exit(2);
  }
  return [name, value];
});
console.log(
  growthTables(readResults(), { ...DEFAULTS, ...(Object.fromEntries(given) as Partial<Inputs>) }).join('\n'),
);
