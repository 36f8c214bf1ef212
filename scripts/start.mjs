// npm start: builds the fleet and the sandbox, then runs sandbox/demo.ts from there. Eight processes start from a build in
// a fraction of the time that they take from their sources.
import { execFileSync } from 'node:child_process';
import { existsSync, readdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';

const CACHE = join(import.meta.dirname, '../node_modules/.cache');
const PREFIX = 'orderfleet-start-';
const SANDBOX = ['sandbox/demo.ts', 'sandbox/main.ts', 'sandbox/couriers/apis/*.ts'];

// one for each start: another one must not change what this one runs
const folder = join(CACHE, `${PREFIX}${process.pid}`);
const remove = (place) => rmSync(place, { recursive: true, force: true });
process.on('exit', () => remove(folder));
for (const name of existsSync(CACHE) ? readdirSync(CACHE) : [])
  if (name.startsWith(PREFIX) && hasEnded(Number(name.slice(PREFIX.length)))) remove(join(CACHE, name));

execFileSync(process.execPath, [join(import.meta.dirname, 'build.mjs'), folder, ...SANDBOX], {
  stdio: 'inherit',
});
await import(pathToFileURL(join(folder, 'sandbox/demo.js')).href);

function hasEnded(pid) {
  try {
    process.kill(pid, 0);
    return false;
  } catch (error) {
    return error.code === 'ESRCH';
  }
}
