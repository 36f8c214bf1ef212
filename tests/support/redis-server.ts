import { type ChildProcess, spawn } from 'node:child_process';
import { access, constants, mkdtemp, rm } from 'node:fs/promises';
import { connect } from 'node:net';
import os from 'node:os';
import path from 'node:path';
import { freePort, until } from './until.ts';

/** A redis-server of one's own: may be flushed, killed and started again. */
export interface RedisServer {
  url: string;
  port: number;
  /** Ends it at once (SIGKILL): everything in it is lost, as no file is written. */
  kill(): Promise<void>;
  /** Starts it again, empty, on the same port, after `kill`. */
  restart(): Promise<void>;
  /** What a failover makes of the former primary; its connections stay. */
  becomeReplicaOf(other: { port: number }): Promise<void>;
  /** Ends it and removes its directory. */
  stop(): Promise<void>;
}

/** The redis-server in PATH, unless ORDERFLEET_TEST_REDIS=off. */
export async function findRedisServer(): Promise<string | undefined> {
  if (process.env.ORDERFLEET_TEST_REDIS === 'off') return undefined;
  for (const dir of (process.env.PATH ?? '').split(path.delimiter)) {
    const file = path.join(dir, 'redis-server');
    if (dir !== '' && (await canRun(file))) return file;
  }
  return undefined;
}

/** Starts a redis-server on a free port of 127.0.0.1 that keeps nothing on disk. */
export async function startRedisServer(binary: string, dir?: string): Promise<RedisServer> {
  const home = dir ?? (await mkdtemp(path.join(os.tmpdir(), 'orderfleet-redis-')));
  const port = await freePort();
  let child = await launch(binary, home, port);
  const kill = async (): Promise<void> => {
    if (child.exitCode !== null || child.signalCode !== null) return;
    const ended = new Promise((resolve) => child.once('exit', resolve));
    child.kill('SIGKILL');
    await ended;
  };
  return {
    url: `redis://127.0.0.1:${port}`,
    port,
    kill,
    restart: async () => {
      await kill();
      child = await launch(binary, home, port);
    },
    becomeReplicaOf: async (other) => {
      const answer = await ask(port, `REPLICAOF 127.0.0.1 ${other.port}`);
      if (!answer?.startsWith('+OK')) throw new Error(`REPLICAOF: ${answer}`);
    },
    stop: async () => {
      await kill();
      if (dir === undefined) await rm(home, { recursive: true, force: true });
    },
  };
}

async function launch(binary: string, home: string, port: number): Promise<ChildProcess> {
  const settings = {
    ...{ port, bind: '127.0.0.1', dir: home, save: '', appendonly: 'no', databases: 64 },
    // what doctor wants of a Redis that holds queues
    'maxmemory-policy': 'noeviction',
  };
  const child = spawn(
    binary,
    Object.entries(settings).flatMap(([name, value]) => [`--${name}`, String(value)]),
    { stdio: ['ignore', 'pipe', 'pipe'] },
  );
  let output = '';
  child.stdout.on('data', (chunk) => {
    output += String(chunk);
  });
  child.stderr.on('data', (chunk) => {
    output += String(chunk);
  });
  child.once('error', (error) => {
    output += error.message;
  });
  await until(
    () => {
      if (child.exitCode !== null) throw new Error(output);
      return answersPing(port);
    },
    { what: `redis-server on port ${port}` },
  );
  return child;
}

const answersPing = async (port: number): Promise<boolean> =>
  (await ask(port, 'PING'))?.startsWith('+PONG') === true;

/** Undefined: no answer. */
async function ask(port: number, command: string): Promise<string | undefined> {
  return await new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1', () => socket.write(`${command}\r\n`));
    socket.once('error', () => resolve(undefined));
    socket.once('close', () => resolve(undefined));
    socket.once('data', (answer) => {
      resolve(answer.toString());
      socket.destroy();
    });
  });
}

async function canRun(file: string): Promise<boolean> {
  return await access(file, constants.X_OK).then(
    () => true,
    () => false,
  );
}
