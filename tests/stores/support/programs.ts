/** Programs of the machine that tests of stores start, each by itself and ended by its own process id. */
import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { accessSync, constants, readdirSync } from 'node:fs';
import { chmod, mkdtemp, rm, writeFile } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { promisify } from 'node:util';
import { atEndOfFile } from '../../support/process.ts';
import { until } from '../../support/until.ts';

export const run = promisify(execFile);

/** Debian keeps servers beside what everybody may call. */
const POSTGRES = '/usr/lib/postgresql';
const versions = (() => {
  try {
    return readdirSync(POSTGRES).sort((a, b) => Number(b) - Number(a));
  } catch {
    return [];
  }
})();
const PLACES = [
  ...(process.env.PATH ?? '').split(path.delimiter),
  ...['/usr/sbin', '/usr/local/sbin'],
  ...versions.map((version) => path.join(POSTGRES, version, 'bin')),
].filter(Boolean);

/** Undefined, and said aloud, where the machine has no such program: what needs it is skipped and counted so. */
export function findProgram(name: string, what: string): string | undefined {
  for (const place of PLACES) {
    try {
      accessSync(path.join(place, name), constants.X_OK);
      return path.join(place, name);
    } catch {
      // elsewhere
    }
  }
  console.warn(`NOT TRIED: ${what}, since this machine has no ${name}`);
  return undefined;
}

/** A directory that is gone at the end of the file; every account may enter it. */
export async function directory(): Promise<string> {
  const dir = await mkdtemp(path.join(os.tmpdir(), 'orderfleet-stores-'));
  await chmod(dir, 0o755);
  atEndOfFile(() => rm(dir, { recursive: true, force: true }));
  return dir;
}

/** As root servers refuse to run; `nobody` may do nothing else. */
export const NOBODY = process.getuid?.() === 0 ? { uid: 65_534, gid: 65_534 } : {};

export interface Server {
  child: ChildProcess;
  output(): string;
  stop(signal?: NodeJS.Signals): Promise<void>;
}

/** Starts a program and waits until `ready`; it is killed at the end of the file at the latest. */
export async function serve(
  program: string,
  args: readonly string[],
  ready: () => Promise<boolean>,
  options: { uid?: number; gid?: number; cwd?: string } = {},
): Promise<Server> {
  const child = spawn(program, args, { ...options, stdio: ['ignore', 'pipe', 'pipe'] });
  let output = '';
  const heard = (chunk: unknown) => {
    output += String(chunk);
  };
  child.stdout.on('data', heard);
  child.stderr.on('data', heard);
  child.once('error', heard);
  const ended = new Promise<void>((resolve) => child.once('close', () => resolve()));
  const stop = async (signal: NodeJS.Signals = 'SIGKILL') => {
    if (child.exitCode === null && child.signalCode === null) child.kill(signal);
    await ended;
  };
  atEndOfFile(() => stop());
  await until(
    async () => {
      if (child.exitCode !== null) throw new Error(`${program} ended: ${output}`);
      return await ready();
    },
    { what: `${program} to answer`, timeoutMs: 30_000 },
  );
  return { child, output: () => output, stop };
}

export interface Certificates {
  ca: string;
  cert: string;
  key: string;
}

/** A CA of one's own, and a certificate for localhost that it has signed; undefined without openssl. */
export async function makeCertificates(dir: string): Promise<Certificates> {
  const file = (name: string) => path.join(dir, name);
  const openssl = (...args: string[]) => run('openssl', args);
  const ofDays = ['-days', '2'];
  await openssl(
    ...['req', '-x509', '-newkey', 'rsa:2048', '-nodes', ...ofDays, '-subj', '/CN=Test CA'],
    ...['-keyout', file('ca.key'), '-out', file('ca.crt')],
  );
  await openssl(
    ...['req', '-newkey', 'rsa:2048', '-nodes', '-subj', '/CN=localhost'],
    ...['-keyout', file('server.key'), '-out', file('server.csr')],
  );
  await writeFile(file('names'), 'subjectAltName=DNS:localhost,IP:127.0.0.1');
  await openssl(
    ...['x509', '-req', '-in', file('server.csr'), '-CA', file('ca.crt'), '-CAkey', file('ca.key')],
    ...['-CAcreateserial', ...ofDays, '-extfile', file('names'), '-out', file('server.crt')],
  );
  return { ca: file('ca.crt'), cert: file('server.crt'), key: file('server.key') };
}
