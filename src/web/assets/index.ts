import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { Hono } from 'hono';
import { codeRoot } from '../../lib/package-root.ts';

const require = createRequire(import.meta.url);
const own = (name: string) => join(codeRoot(), 'src/web/assets', name);

/** Files that the pages load; nothing comes from another host. */
const FILES = {
  'style.css': { type: 'text/css', path: () => own('style.css') },
  'charts.js': { type: 'text/javascript', path: () => own('charts.js') },
  'icon.svg': { type: 'image/svg+xml', path: () => own('icon.svg') },
  'uPlot.min.css': { type: 'text/css', path: () => require.resolve('uplot/dist/uPlot.min.css') },
  'uPlot.iife.min.js': {
    type: 'text/javascript',
    path: () => require.resolve('uplot/dist/uPlot.iife.min.js'),
  },
} as const;
type AssetName = keyof typeof FILES;

const read = new Map<AssetName, { body: string; version: string }>();

/** Read on first use, then cached: they are part of the program. */
function load(name: AssetName): { body: string; version: string } {
  let file = read.get(name);
  if (!file) {
    const body = readFileSync(FILES[name].path(), 'utf8');
    file = { body, version: createHash('sha256').update(body).digest('hex').slice(0, 12) };
    read.set(name, file);
  }
  return file;
}

/** The URL of a file contains a hash of its content, so that browsers may cache it for ever. */
export const assetUrl = (name: AssetName): string => `/assets/${name}?v=${load(name).version}`;

/** GET /assets/… */
export function assets(): Hono {
  const app = new Hono();
  for (const name of Object.keys(FILES) as AssetName[])
    app.get(`/assets/${name}`, (c) => {
      const { body, version } = load(name);
      const kept = c.req.query('v') === version;
      return c.body(body, 200, {
        'Content-Type': `${FILES[name].type}; charset=utf-8`,
        'Cache-Control': kept ? 'public, max-age=31536000, immutable' : 'no-cache', // a year, in seconds
      });
    });
  return app;
}
