import { execFile, execFileSync, spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { existsSync, mkdirSync, readFileSync, rmSync } from 'node:fs';
import { homedir } from 'node:os';
import path from 'node:path';
import { pathToFileURL } from 'node:url';
import { promisify } from 'node:util';
import type { OrderfleetClient } from '../../src/client/index.ts';
import { type Child, environment, startChild } from './child.ts';

const ROOT = path.resolve(import.meta.dirname, '../..');
const run = promisify(execFile);

/** A built Orderfleet, this one or an older one: driven by its commands and its processes alone. */
export interface Build {
  name: string;
  commit: string;
  /** One process of workers/, when it is ready. */
  start(role: string, env: Record<string, string>): Promise<Child>;
  /** `orderfleet …args`. @returns what it printed */
  command(env: Record<string, string>, ...args: string[]): Promise<string>;
  /** What a shipping app uses. */
  client(env: Record<string, string>): Promise<OrderfleetClient>;
}

const git = (...args: string[]) => execFileSync('git', args, { cwd: ROOT, encoding: 'utf8' }).trim();

/** The checkout as it is. */
export async function thisBuild(): Promise<Build> {
  await build(ROOT);
  const changed = git('status', '--porcelain', '--', 'src', 'workers', 'drizzle', 'package-lock.json') !== '';
  return buildIn(ROOT, 'fleet', git('rev-parse', '--short', 'HEAD') + (changed ? ' and changes' : ''));
}

/** A commit of this repository, with the packages that it names; kept in ~/.cache for the next time. */
export async function buildOf(commit: string): Promise<Build> {
  const short = git('rev-parse', '--short', `${commit}^{commit}`);
  const root = path.join(homedir(), '.cache/orderfleet-bench', short);
  if (!existsSync(path.join(root, 'dist/workers/tracking.js'))) {
    console.error(`${short}: installing and building it in ${root}`);
    rmSync(root, { recursive: true, force: true });
    mkdirSync(root, { recursive: true });
    await unpack(short, root);
    await run('npm', ['ci', '--no-audit', '--no-fund'], { cwd: root });
    await build(root);
  }
  return buildIn(root, short, short);
}

/** The commit's files. */
async function unpack(commit: string, into: string): Promise<void> {
  const archive = spawn('git', ['archive', commit], { cwd: ROOT, stdio: ['ignore', 'pipe', 'inherit'] });
  const tar = spawn('tar', ['-x', '-C', into], { stdio: [archive.stdout, 'inherit', 'inherit'] });
  const code = await new Promise((resolve) => tar.once('exit', resolve));
  if (code !== 0) throw new Error(`the files of ${commit} could not be unpacked`);
}

async function build(root: string): Promise<void> {
  rmSync(path.join(root, 'dist'), { recursive: true, force: true }); // what was renamed since would stay
  await run('npm', ['run', 'build'], { cwd: root });
}

function buildIn(root: string, name: string, commit: string): Build {
  const inside = (file: string) => path.join(root, 'dist', file);
  return {
    name,
    commit,
    start: (role, env) => startChild([inside(`workers/${role}.js`)], { env, cwd: root }),
    async command(env, ...args) {
      const { stdout } = await run(process.execPath, [inside('src/cli/main.js'), ...args], {
        cwd: root,
        env: environment(env),
      });
      return stdout;
    },
    async client({ REDIS_URL, DATABASE_URL }) {
      const { exports } = JSON.parse(readFileSync(path.join(root, 'package.json'), 'utf8'));
      const { createClient } = await import(pathToFileURL(path.join(root, exports['./client'].default)).href);
      return createClient(REDIS_URL ? { redisUrl: REDIS_URL } : { databaseUrl: DATABASE_URL });
    },
  };
}

/** Settings that every contender's processes share. */
export const commonSettings = (): Record<string, string> => ({
  CREDENTIALS_KEY: randomBytes(32).toString('base64'),
  LOG_LEVEL: 'warn',
  ORDERFLEET_HOME: '/nonexistent',
});
