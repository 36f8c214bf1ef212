/** The walls between modules: which may import which. Pure; tests/checkout/walls.test.ts runs it on the checkout. */
import path from 'node:path';
import { isNode, lineOf, list, type Node, nodesOf, text } from './ast.ts';

interface Import {
  /** As written: `../db/client.ts`, `bullmq`. */
  name: string;
  line: number;
}

/** What one file does that a wall may forbid. */
interface Facts {
  imports: Import[];
  /** Lines that read the environment. */
  environment: number[];
  lines: number;
}

/**
 * The folders of src/ (and workers/), layer by layer: a folder imports from its own layer and those below. Every file lies
 * in one of them.
 */
const LAYERS: readonly (readonly string[])[] = [
  ['lib', 'addresses', 'config'],
  ['db', 'embedded-postgres', 'queue', 'leases', 'quota', 'notices', 'client'],
  ['orders'], // the seller's orders, whichever marketplace they came from
  ['temu', 'tracking', 'alerts'],
  ['fleet'], // makes what all get, and runs a process
  ['ops'],
  ['web', 'doctor'],
  ['cli', 'workers'],
];
/** Of one layer, and yet they know nothing of each other. */
const APART = [
  { modules: ['temu', 'tracking', 'alerts'], why: 'meet in the database' },
  { modules: ['cli', 'workers'], why: 'stand alone' },
];

/**
 * What `orderfleet/client` loads: itself, and how addresses are read and connections opened, which must be as in the fleet.
 * Nothing else of ours, since the shipping app starts with it.
 */
const PRODUCERS = new Set([
  'src/client/index.ts',
  ...['parts', 'database', 'redis'].map((name) => `src/addresses/${name}.ts`),
  ...['wire', 'pool', 'driver'].map((name) => `src/db/${name}.ts`),
  'src/queue/redis-open.ts',
  'src/queue/pg-pool.ts',
  'src/queue/keep-ended.ts',
  ...['infrastructure', 'numbers', 'sockets'].map((name) => `src/lib/${name}.ts`),
]);
/** BullMQ wants one of them; loaded when it is needed (db/driver.ts), and else named for its types alone. */
const DRIVERS = ['pg', 'ioredis'];

const WORKER_LINES = 40;

/**
 * Every breach of a wall, one line each, sorted.
 *
 * @param files path from the root of the checkout (with /) → source text
 */
export function breaches(files: Map<string, string>): string[] {
  const sources = [...files].filter(([file]) => /^(src|workers|sandbox)\/.*\.tsx?$/.test(file));
  const facts = new Map(sources.map(([file, source]) => [file, factsOf(file, source)]));
  const guarded = [...facts].filter(([file]) => !file.startsWith('sandbox/')); // what tries it out does as it likes
  const found = guarded.flatMap(([file, its]) => [
    ...misplaced(file),
    ...its.imports.flatMap(({ name, line }) => forbidden(file, name).map((why) => `${file}:${line} ${why}`)),
    ...its.environment.map(
      (line) =>
        `${file}:${line} reads the environment: only src/config/index.ts does (src/cli hands it process.env whole)`,
    ),
    ...(moduleOf(file) === 'workers' && its.lines > WORKER_LINES
      ? [
          `${file} has ${its.lines} lines: a worker names its queues and runs them, in at most ${WORKER_LINES}`,
        ]
      : []),
  ]);
  return [...found, ...cycles(facts)].sort();
}

/** Why `file` may not import `name`; empty if it may. */
function forbidden(file: string, name: string): string[] {
  if (!name.startsWith('.')) return forbiddenPackage(file, name.split('/')[0] ?? '');
  const target = resolve(file, name);
  if (!/^(src|workers)\//.test(target)) {
    return /^(sandbox|tests|bench)\//.test(target)
      ? [`imports ${target}: the product knows nothing of what tries it out`]
      : [];
  }
  if (PRODUCERS.has(file) && !PRODUCERS.has(target))
    return [`imports ${target}: what producers outside load is ${[...PRODUCERS].join(', ')} alone`];
  const [from, to] = [moduleOf(file), moduleOf(target)];
  if (from === to) return [];
  const apart = APART.find(({ modules }) => modules.includes(from) && modules.includes(to));
  if (apart) return [`imports ${target}: ${from} and ${to} ${apart.why}`];
  return layerOf(from) < layerOf(to) ? [`imports ${target}: upwards, from ${from} to ${to}`] : [];
}

function forbiddenPackage(file: string, name: string): string[] {
  if (PRODUCERS.has(file)) {
    // what comes with Node need not be installed
    return ['bullmq', 'zod', ...DRIVERS].includes(name) || name.startsWith('node:')
      ? []
      : [`imports ${name}: producers outside have bullmq, zod and the driver of their store alone`];
  }
  if (['bullmq', 'ioredis'].includes(name) && moduleOf(file) !== 'queue') {
    return [`imports ${name}: only src/queue/ and src/client/index.ts talk to the queues' library`];
  }
  return [];
}

/** `temu` for src/temu/orders/map.ts, `quota` for src/quota/index.ts, `workers` for workers/temu.ts. */
function moduleOf(file: string): string {
  const [top, next] = file.split('/');
  return top === 'workers' ? top : (next ?? '').replace(/\.tsx?$/, '');
}

const layerOf = (module: string): number => LAYERS.findIndex((modules) => modules.includes(module));

/** Why a file may not lie where it does. */
function misplaced(file: string): string[] {
  if (/^src\/[^/]+$/.test(file)) return [`${file} lies directly in src/: every file of src/ has a folder`];
  return layerOf(moduleOf(file)) < 0 ? [`${file} is in a folder without a layer`] : [];
}

function resolve(file: string, name: string): string {
  return path.posix.join(path.posix.dirname(file), name);
}

// --- reading a file ---

function factsOf(file: string, source: string): Facts {
  const nodes = nodesOf(file, source);
  const imports = nodes.flatMap((node) => {
    const name = importedBy(node);
    return name === undefined ? [] : [{ name, line: lineOf(source, node) }];
  });
  const handedOver = moduleOf(file) === 'cli' ? handedToConfig(file, nodes) : new Set<unknown>();
  const environment =
    file === 'src/config/index.ts'
      ? []
      : nodes
          .filter((node) => readsEnvironment(node) && !handedOver.has(node))
          .map((node) => lineOf(source, node));
  return { imports, environment, lines: source.trimEnd().split('\n').length };
}

function importedBy(node: Node): string | undefined {
  switch (node.type) {
    case 'ImportDeclaration':
    case 'ExportAllDeclaration':
    case 'ExportNamedDeclaration':
    case 'ImportExpression':
    case 'TSImportType':
      return text(node.source);
    case 'CallExpression':
      return named(node.callee, 'require') ? text(list(node.arguments)[0]) : undefined;
    default:
      return undefined;
  }
}

function readsEnvironment(node: Node): boolean {
  switch (node.type) {
    case 'MemberExpression': {
      if (keyOf(node) !== 'env') return false;
      const owner = node.object;
      if (named(owner, 'process')) return true;
      return isNode(owner) && (owner.type === 'MetaProperty' || keyOf(owner) === 'process');
    }
    case 'VariableDeclarator':
      return named(node.init, 'process') && isNode(node.id) && hasKey(node.id.properties, 'key', 'env');
    case 'ImportDeclaration':
      return /^(node:)?process$/.test(text(node.source) ?? '') && hasKey(node.specifiers, 'imported', 'env');
    default:
      return false;
  }
}

/** The arguments `process.env` of calls to what src/config/index.ts exports. */
function handedToConfig(file: string, nodes: Node[]): Set<unknown> {
  const fromConfig = nodes
    .filter((node) => node.type === 'ImportDeclaration')
    .filter((node) => resolve(file, text(node.source) ?? '') === 'src/config/index.ts')
    .flatMap((node) =>
      list(node.specifiers).map((specifier) => isNode(specifier) && nameOf(specifier.local)),
    );
  return new Set(
    nodes
      .filter((node) => node.type === 'CallExpression' && isNode(node.callee))
      .filter((node) => isNode(node.callee) && fromConfig.includes(nameOf(node.callee) ?? ''))
      .flatMap((node) => list(node.arguments)),
  );
}

function nameOf(node: unknown): string | undefined {
  return isNode(node) && typeof node.name === 'string' ? node.name : undefined;
}

function named(node: unknown, name: string): boolean {
  return nameOf(node) === name;
}

/** `env` of both `process.env` and `process['env']`. */
function keyOf(node: Node): string | undefined {
  return text(node.property) ?? (node.computed === true ? undefined : nameOf(node.property));
}

function hasKey(entries: unknown, field: string, name: string): boolean {
  return list(entries).some((entry) => isNode(entry) && named(entry[field], name));
}

// --- cycles ---

/** One line per cycle, found by walking the imports depth first. Types count: they tie as well. */
function cycles(facts: Map<string, Facts>): string[] {
  const found: string[] = [];
  const done = new Set<string>();
  const visit = (file: string, trail: string[]): void => {
    const at = trail.indexOf(file);
    if (at >= 0) {
      found.push(`cycle: ${[...trail.slice(at), file].join(' → ')}`);
      return;
    }
    if (done.has(file)) return;
    for (const { name } of facts.get(file)?.imports ?? []) {
      const target = name.startsWith('.') ? resolve(file, name) : '';
      if (facts.has(target)) visit(target, [...trail, file]);
    }
    done.add(file);
  };
  for (const file of [...facts.keys()].sort()) visit(file, []);
  return found;
}
