/** The walls between the rooms of the house: who may import whom. Pure; tests/walls.test.ts runs it on the checkout. */
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

/** Higher rooms import lower ones. A new file right under src/ is a tool: level 1. */
const LEVELS: Record<string, number> = {
  // fleet.ts makes what every room gets and runs a process: the seam between the workers and the rooms
  ...{
    workers: 4,
    cli: 4,
    fleet: 3,
    works: 3,
    web: 3,
    doctor: 3,
    overview: 3,
    stories: 3,
    figures: 3,
    sampler: 3,
  },
  ...{ temu: 2, tracking: 2, alerts: 2 },
  ...{ queue: 1, quota: 1, http: 1, db: 1, client: 1, health: 1 },
  ...{
    addresses: 0,
    config: 0,
    settings: 0,
    log: 0,
    errors: 0,
    infrastructure: 0,
    metrics: 0,
    traces: 0,
    numbers: 0,
    storable: 0,
  },
  'in-transaction': 0,
};
const TOOLS = 1;
const NAMES_OF_LEVELS = ['ground', 'tools', 'domain', 'web', 'entry points'];

/**
 * What `orderfleet/client` loads: itself, and how addresses are read and connections opened, which must be as in the fleet.
 * Nothing else of ours, since the shipping app starts with it.
 */
const PRODUCERS = new Set([
  'src/client.ts',
  ...['parts', 'database', 'redis'].map((name) => `src/addresses/${name}.ts`),
  ...['wire', 'pool', 'driver'].map((name) => `src/db/${name}.ts`),
  'src/queue/redis-open.ts',
  ...['infrastructure', 'numbers', 'pg-pool', 'sockets'].map((name) => `src/${name}.ts`),
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
  const guarded = [...files].filter(([file]) => /^(src|workers)\/.*\.tsx?$/.test(file));
  const facts = new Map(guarded.map(([file, source]) => [file, factsOf(file, source)]));
  const found = [...facts].flatMap(([file, its]) => [
    ...its.imports.flatMap(({ name, line }) => forbidden(file, name).map((why) => `${file}:${line} ${why}`)),
    ...its.environment.map(
      (line) =>
        `${file}:${line} reads the environment: only src/config.ts does (src/cli hands it process.env whole)`,
    ),
    ...(roomOf(file) === 'workers' && its.lines > WORKER_LINES
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
  const [from, to] = [roomOf(file), roomOf(target)];
  if (from === to) return [];
  const [high, low] = [levelOf(from), levelOf(to)];
  if (high === 2 && low === 2) return [`imports ${target}: ${from} and ${to} meet in the database`];
  if (high === 4 && low === 4)
    return from === 'workers' ? [`imports ${target}: entry points stand alone`] : [];
  if (high < low) {
    return [`imports ${target}: upwards, from ${NAMES_OF_LEVELS[high]} to ${NAMES_OF_LEVELS[low]}`];
  }
  return [];
}

function forbiddenPackage(file: string, name: string): string[] {
  if (PRODUCERS.has(file)) {
    // what comes with Node need not be installed
    return ['bullmq', 'zod', ...DRIVERS].includes(name) || name.startsWith('node:')
      ? []
      : [`imports ${name}: producers outside have bullmq, zod and the driver of their store alone`];
  }
  if (['bullmq', 'ioredis'].includes(name) && roomOf(file) !== 'queue') {
    return [`imports ${name}: only src/queue/ and src/client.ts talk to the queues' library`];
  }
  return [];
}

/** `temu` for src/temu/orders/map.ts, `quota` for src/quota.ts, `workers` for workers/temu.ts. */
function roomOf(file: string): string {
  const [top, next] = file.split('/');
  return top === 'workers' ? top : (next ?? '').replace(/\.tsx?$/, '');
}

function levelOf(room: string): number {
  return LEVELS[room] ?? TOOLS;
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
  const handedOver = roomOf(file) === 'cli' ? handedToConfig(file, nodes) : new Set<unknown>();
  const environment =
    file === 'src/config.ts'
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

/** The arguments `process.env` of calls to what src/config.ts exports. */
function handedToConfig(file: string, nodes: Node[]): Set<unknown> {
  const fromConfig = nodes
    .filter((node) => node.type === 'ImportDeclaration')
    .filter((node) => resolve(file, text(node.source) ?? '') === 'src/config.ts')
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

/** One line per cycle inside src/, found by walking the imports depth first. Types count: they tie as well. */
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
      if (facts.has(target) && target.startsWith('src/')) visit(target, [...trail, file]);
    }
    done.add(file);
  };
  for (const file of [...facts.keys()].filter((file) => file.startsWith('src/')).sort()) visit(file, []);
  return found;
}
