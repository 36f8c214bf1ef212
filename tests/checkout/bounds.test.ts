import { spawnSync } from 'node:child_process';
import { readdir, readFile } from 'node:fs/promises';
import path from 'node:path';
import { describe, expect, it } from 'vitest';
import { parseAst } from 'vitest/node';
import { couriers } from '../../src/tracking/registry.ts';
import { malformedBy } from '../support/malformed.ts';
import { ROOT } from '../support/process.ts';

/**
 * R4: zod collects a fault for each wrong row, some hundred bytes each: two megabytes of an answer took 844 MB, which ends
 * a worker. So every list in a schema has an end, which zod looks at before it looks at the rows.
 */
describe('R4: every list in a schema is bounded', () => {
  it('in all of src/', async () => {
    const names = (await readdir(path.join(ROOT, 'src'), { recursive: true })).filter((name) =>
      /\.tsx?$/.test(name),
    );
    // columns of tables are no schemas of answers
    const files = names.filter((name) => !name.startsWith(path.join('db', 'schema')));
    const found = await Promise.all(
      files.map(async (name) => unbounded(name, await readFile(path.join(ROOT, 'src', name), 'utf8'))),
    );
    expect(files.length).toBeGreaterThan(100);
    expect(found.flat()).toEqual([]);
  });

  it.each([
    ['z.array(z.string())'],
    ['z.array(z.string()).nullish()'],
    ['z.array(z.string()).min(1)'],
    ['z.array(z.string()).optional().max(5)'],
    ['z.object({ a: z.string().array() })'],
    ['z.set(z.string())'],
    ['z.map(z.string(), z.string())'],
    ['z.record(z.string(), z.string())'],
    ['z.tuple([z.string()]).rest(z.string())'],
  ])('stops %s', (code) => {
    expect(unbounded('a.ts', `const a = ${code};`)).toHaveLength(1);
  });
  it.each([
    'z.array(z.string()).max(5).nullish()',
    'z.array(one).min(1).max(5)',
    'z.record(z.string(), z.unknown())',
    'rows(one)',
    'Array.from([1])',
  ])('lets through %s', (code) => {
    expect(unbounded('a.ts', `const a = ${code};`)).toEqual([]);
  });
});

it('R4: a million wrong rows cost one failure, and less than 100 MB, whoever reads them', () => {
  const { stdout, stderr, status } = spawnSync(
    process.execPath,
    ['--expose-gc', '--import', 'tsx', path.join(ROOT, 'tests/support/million-rows.ts')],
    { cwd: ROOT, encoding: 'utf8', timeout: 60_000 },
  );
  expect({ stderr, status }).toEqual({ stderr: '', status: 0 });
  const { failures, grownMb } = JSON.parse(stdout) as { failures: Record<string, string>; grownMb: number };
  const ofCouriers = Object.fromEntries(
    couriers.map(({ name, title }) => [name, expect.stringContaining(malformedBy(title))]),
  );
  expect(failures).toEqual({
    ...ofCouriers,
    'HTTP, [1,1,…]': 'malformed: the answer has more than 200000 values',
    'HTTP, [{},{},…]': 'malformed: the answer has more than 200000 values',
    'order list': "malformed: Temu's orderList response: pageItems: more than 1000 rows",
    'lines of an order': "malformed: Temu's orderList response: orderList: more than 1000 rows",
    prices: "malformed: Temu's orderAmount response: orderList: more than 1000 rows",
    'delhivery-b2b': 'malformed: Delhivery B2B returned a status without a tracking number',
    'delhivery-b2c': 'malformed: Delhivery B2C returned HTTP 200 with an unreadable body',
    'delhivery-fallback': 'malformed: Delhivery fallback returned HTTP 200 with an unreadable body',
    shiprocket: 'malformed: Shiprocket returned HTTP 200 with an unreadable body',
    velocity: 'malformed: Velocity returned HTTP 200 with an unreadable body',
  });
  expect(grownMb).toBeLessThan(100);
});

// --- reading a file ---

interface Node {
  type: string;
  start: number;
  [field: string]: unknown;
}
const isNode = (value: unknown): value is Node =>
  typeof value === 'object' && value !== null && 'type' in value && typeof value.type === 'string';

/** One line for each list of a schema in a file that has no end. */
function unbounded(file: string, source: string): string[] {
  const root: unknown = parseAst(source, { lang: file.endsWith('x') ? 'tsx' : 'ts' }, file);
  const found: string[] = [];
  /** @param chain methods that are called on this node's value, from the next one on */
  const visit = (node: unknown, chain: readonly string[]): void => {
    if (Array.isArray(node)) for (const one of node) visit(one, []);
    if (!isNode(node)) return;
    const callee = node.type === 'CallExpression' && isNode(node.callee) ? node.callee : undefined;
    const method =
      callee?.type === 'MemberExpression' && isNode(callee.property) ? String(callee.property.name) : '';
    if (callee && isOpen(method, callee, node, chain))
      found.push(`src/${file}:${source.slice(0, node.start).split('\n').length} a list without .max()`);
    for (const [name, value] of Object.entries(node)) {
      if (callee && name === 'callee') visit(callee.object ?? callee, [method, ...chain]);
      else visit(value, []);
    }
  };
  visit(root, []);
  return found;
}

/** min() and max() keep the list a list: only behind these may max() stand. */
function isOpen(method: string, callee: Node, call: Node, chain: readonly string[]): boolean {
  const ofZod = isNode(callee.object) && callee.object.name === 'z';
  const args = call.arguments as Node[];
  if (method === 'array' || (method === 'set' && ofZod)) {
    const next = chain.find((name) => name !== 'min');
    return next !== 'max';
  }
  if (method === 'record' && ofZod) {
    const values = args[1]?.callee as Node | undefined;
    return (values?.property as Node | undefined)?.name !== 'unknown';
  }
  return (method === 'map' && ofZod) || (method === 'rest' && args.length === 1);
}
