/**
 * Bundles what is deployed, so that a process reads ten files instead of nine hundred:
 *   node scripts/build.mjs [FOLDER [ENTRY…]]    dist if none is given; more entries: the sandbox, the tests' programs
 * Each entry keeps its path, and what several of them share lies in chunks/. Plain JavaScript: `npm start` begins with it.
 */
import { cpSync, rmSync } from 'node:fs';
import { dirname, isAbsolute, join, relative, resolve, sep } from 'node:path';
import { build } from 'esbuild';

const ROOT = join(import.meta.dirname, '..');
const [, , folder = 'dist', ...more] = process.argv;
const OUT = resolve(ROOT, folder);

/** Couriers remain files of their own: they are found by listing their folder (C15). */
const FLEET = ['workers/*.ts', 'src/cli/main.ts', 'src/tracking/couriers/*.ts'];

/** Modules of which we need less, or that look into node_modules. */
const INSTEAD = {
  // BullMQ's drivers: in the bundle as well, each evaluated when it is asked for
  'src/db/driver.ts': `export const driver = (name) => name === 'pg' ? require('pg') : require('ioredis');`,
  // its errors in sixty languages
  'node_modules/zod/v4/locales/index.js': 'export {};',
};
const instead = {
  name: 'instead',
  setup: ({ onLoad }) =>
    onLoad({ filter: /[\\/](driver|index)\.[jt]s$/ }, ({ path }) => {
      const contents = INSTEAD[relative(ROOT, path).replaceAll(sep, '/')];
      return contents && { contents, resolveDir: dirname(path) };
    }),
};

/** Packages that are loaded on first use stay outside: of a CommonJS one a split bundle would have no named exports. */
const onFirstUse = {
  name: 'on first use',
  setup: ({ onResolve }) =>
    onResolve({ filter: /^[^.]/ }, ({ path, kind }) =>
      kind === 'dynamic-import' && !isAbsolute(path) ? { path, external: true } : undefined,
    ),
};

/** What CommonJS modules expect to be there. */
const COMMON_JS = `import { createRequire as __createRequire } from 'node:module';
const require = __createRequire(import.meta.url), __filename = import.meta.filename, __dirname = import.meta.dirname;`;

const options = {
  absWorkingDir: ROOT,
  outbase: '.',
  outdir: OUT,
  bundle: true,
  platform: 'node',
  format: 'esm',
  target: 'node20',
  // read when a stack is logged (src/lib/stack.ts)
  sourcemap: true,
  sourcesContent: false,
  keepNames: true,
  logLevel: 'warning',
};

rmSync(OUT, { recursive: true, force: true });
await build({
  ...options,
  entryPoints: [...FLEET, ...more],
  // the source of what runs stays in memory (P8); names stay, and lines are short, for whoever reads a stack without the maps
  minifyWhitespace: true,
  minifySyntax: true,
  lineLimit: 120,
  splitting: true,
  chunkNames: 'chunks/[name]-[hash]',
  // optional native code
  external: ['pg-native', 'msgpackr-extract'],
  plugins: [instead, onFirstUse],
  banner: { js: COMMON_JS },
});
// other programs load it, with their own bullmq and zod
await build({ ...options, entryPoints: ['src/client/index.ts'], packages: 'external' });
cpSync(join(ROOT, 'src/web/assets'), join(OUT, 'src/web/assets'), {
  recursive: true,
  filter: (file) => !file.endsWith('.ts'),
});
