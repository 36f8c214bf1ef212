/** Commands without the start of a process each, which is nearly all that a command costs. */
import { type ChildProcess, spawn } from 'node:child_process';
import { pathToFileURL } from 'node:url';
import { atEndOfFile, programOf } from '../support/process.ts';

export interface Ran {
  code: number | null;
  stdout: string;
  /** Both streams. */
  output: string;
}

const HOST = new URL('./command-host.mjs', import.meta.url);
/** A sign that no command prints. */
const MARK = '<<end of the command>>';

let host: ChildProcess | undefined;
let turn: Promise<unknown> = Promise.resolve();

/** Runs a command to its end in the file's command host; several at once wait for each other. */
export async function runWarm(args: string[], env: Record<string, string>, cwd: string): Promise<Ran> {
  const ran = turn.then(() => runNow(args, env, cwd));
  turn = ran.catch(() => undefined);
  return await ran;
}

async function runNow(args: string[], env: Record<string, string>, cwd: string): Promise<Ran> {
  host ??= startHost(cwd);
  const running = host;
  const { PATH = '', HOME = '', TMPDIR = '/tmp' } = process.env;
  return await new Promise((resolve, reject) => {
    const heard = { stdout: '', stderr: '', output: '' };
    let code: number | null = null;
    const look = (ended: boolean) => {
      const whole = code !== null && heard.stdout.endsWith(MARK) && heard.stderr.endsWith(MARK);
      if (!ended && !whole) return;
      for (const name of ['stdout', 'stderr'] as const) running[name]?.removeAllListeners('data');
      running.off('message', onMessage).off('close', onClose).off('error', reject);
      resolve({
        code,
        stdout: heard.stdout.replaceAll(MARK, ''),
        output: heard.output.replaceAll(MARK, ''),
      });
    };
    const onMessage = (message: unknown) => {
      ({ code } = message as { code: number });
      look(false);
    };
    const onClose = (exitCode: number | null) => {
      host = undefined;
      code = exitCode;
      look(true);
    };
    running.on('message', onMessage).once('close', onClose).once('error', reject);
    for (const name of ['stdout', 'stderr'] as const)
      running[name]?.on('data', (chunk: string) => {
        heard[name] += chunk;
        heard.output += chunk;
        look(false);
      });
    running.send({ args, env: { PATH, HOME, TMPDIR, ...env } });
  });
}

function startHost(cwd: string): ChildProcess {
  const [main = ''] = programOf('src/cli/main.ts');
  const child = spawn(process.execPath, [HOST.pathname, pathToFileURL(main).href, MARK], {
    cwd,
    stdio: ['ignore', 'pipe', 'pipe', 'ipc'],
  });
  for (const stream of [child.stdout, child.stderr]) stream?.setEncoding('utf8');
  const closed = new Promise<void>((resolve) =>
    child.once('close', () => {
      if (host === child) host = undefined;
      resolve();
    }),
  );
  atEndOfFile(async () => {
    child.kill('SIGKILL');
    await closed;
  });
  return child;
}
