import { readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { parseEnv } from 'node:util';
import { describe, expect, test } from 'vitest';
import { parse } from 'yaml';
import { parseConfig, settings } from '../src/config.ts';
import { trackingSettings } from '../src/tracking/index.ts';
import { ROOT } from './support/process.ts';

const read = (file: string) => readFileSync(path.join(ROOT, file), 'utf8');
const workers = readdirSync(path.join(ROOT, 'workers'))
  .map((file) => path.basename(file, '.ts'))
  .filter((name) => name !== 'index');

const names = [...Object.keys(settings.shape), ...Object.keys(trackingSettings)];

describe('.env.example (O7)', () => {
  const example = parseEnv(read('.env.example')) as Record<string, string>;

  test('names every setting of the schema, and nothing else but ORDERFLEET_HOME', () => {
    expect(Object.keys(example).sort()).toEqual([...names, 'ORDERFLEET_HOME'].sort());
  });

  test('is a right environment once a key is filled in, and shows the defaults', () => {
    const filled = parseConfig({ ...example, CREDENTIALS_KEY: Buffer.alloc(32, 7).toString('base64') });
    const least = parseConfig({
      DATABASE_URL: example.DATABASE_URL,
      CREDENTIALS_KEY: Buffer.alloc(32, 7).toString('base64'),
    });
    const { read: _one, ...own } = filled;
    const { read: _other, ...defaults } = least;
    expect(own).toEqual(defaults);
    expect(filled.read(trackingSettings)).toEqual(least.read(trackingSettings));
  });
});

interface Compose {
  services: Record<string, { command?: string; environment?: Record<string, string>; build?: string }>;
}

describe('Procfile and docker-compose.yml are true to what is there (O2)', () => {
  const compose = parse(read('docker-compose.yml'), { merge: true }) as Compose;

  test('every worker has its line in both, and no other is named', () => {
    const started = (text: string) =>
      [...text.matchAll(/dist\/workers\/(\w+)\.js/g)].map((match) => match[1]).sort();
    expect(started(read('Procfile'))).toEqual(workers);
    expect(started(read('docker-compose.yml'))).toEqual(workers);
  });

  test('every variable that compose sets is a setting', () => {
    for (const { build, environment } of Object.values(compose.services)) {
      if (!build) continue;
      for (const name of Object.keys(environment ?? {})) expect(names).toContain(name);
    }
  });

  test('Redis evicts nothing and keeps a log', () => {
    expect(compose.services.redis?.command).toContain('--maxmemory-policy noeviction');
    expect(compose.services.redis?.command).toContain('--appendonly yes');
  });

  test('the image copies what the Dockerfile needs, and never the sandbox', () => {
    const kept = read('.dockerignore')
      .split('\n')
      .filter((line) => line.startsWith('!'))
      .map((line) => line.slice(1));
    for (const [, sources = ''] of read('Dockerfile').matchAll(/^COPY (?!--from)(.+) \S+$/gm))
      for (const source of sources.split(' ')) expect(kept).toContain(source);
    expect(kept).not.toContain('sandbox');
  });
});
