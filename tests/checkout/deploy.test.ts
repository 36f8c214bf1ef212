import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import path from 'node:path';
import { parseEnv } from 'node:util';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { parse } from 'yaml';
import { parseConfig } from '../../src/config/index.ts';
import { settings } from '../../src/config/settings.ts';
import { trackingSettings } from '../../src/tracking/index.ts';
import { accountsOf } from '../../src/web/middleware/access.ts';
import { ROOT } from '../support/process.ts';

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

interface Service {
  command?: string;
  environment?: Record<string, string>;
  build?: string;
  ports?: string[];
  profiles?: string[];
  volumes?: string[];
  healthcheck?: { test?: string | string[]; disable?: boolean };
  stop_grace_period?: string;
  depends_on?: Record<string, { condition: string }>;
}

describe('Procfile, Dockerfile and docker-compose.yml are true to what is there (O2)', () => {
  const { services, volumes } = parse(read('docker-compose.yml'), { merge: true }) as {
    services: Record<string, Service>;
    volumes: Record<string, null>;
  };
  const ours = Object.entries(services).filter(([, { build }]) => build);

  test('every worker has its line in both, and no other is named', () => {
    const started = (text: string) =>
      [...text.matchAll(/dist\/workers\/(\w+)\.js/g)].map((match) => match[1]).sort();
    expect(started(read('Procfile'))).toEqual(workers);
    expect(started(read('docker-compose.yml'))).toEqual(workers);
    for (const [, role, file] of read('Procfile').matchAll(/^(\w+): node dist\/workers\/(\w+)\.js$/gm))
      expect(file).toBe(role);
    expect(read('Procfile')).toMatch(/^release: node dist\/src\/cli\/main\.js migrate$/m);
  });

  test('every variable that compose sets is a setting, and with them the fleet starts', () => {
    const secrets: Record<string, string> = {
      CREDENTIALS_KEY: Buffer.alloc(32).toString('base64'),
      DASHBOARD_USER: 'ops',
      DASHBOARD_PASSWORD: 'long enough',
    };
    const filled = (value: unknown) =>
      String(value).replace(/\$\{(\w+):([?-])(.*?)\}/g, (_, name, kind, text) =>
        kind === '?' ? (secrets[name] ?? `${name} is demanded`) : text,
      );
    for (const [name, { environment }] of ours) {
      const values = Object.entries(environment ?? {}).map(([key, value]) => [key, filled(value)] as const);
      for (const [key] of values) expect(names).toContain(key);
      const config = parseConfig(Object.fromEntries(values));
      expect(config).toMatchObject({ HOST: '0.0.0.0', PORT: 8080, METRICS_PORT: 9400 });
      if (name === 'web') expect(accountsOf(config)).toEqual([expect.objectContaining({ name: 'ops' })]);
    }
  });

  test('Redis evicts nothing and keeps a log', () => {
    expect(services.redis?.command).toContain('--maxmemory-policy noeviction');
    expect(services.redis?.command).toContain('--appendonly yes');
  });

  test('everything that stays has a health check, and waits for what it needs to be well', () => {
    for (const [name, { healthcheck, depends_on }] of Object.entries(services)) {
      if (name === 'migrate') expect(healthcheck).toEqual({ disable: true });
      else expect(healthcheck?.test, name).toBeDefined();
      if (workers.includes(name)) {
        expect(healthcheck?.test).toEqual(['CMD', 'node', 'healthcheck.mjs']);
        expect(depends_on).toEqual({
          migrate: { condition: 'service_completed_successfully' },
          redis: { condition: 'service_healthy' },
        });
      }
    }
  });

  test('a process has time to stop, and any but web can be scaled', () => {
    for (const [name, service] of ours) {
      // 15 s: after them a process ends itself (src/fleet/index.ts)
      const grace = Number(service.environment?.SHUTDOWN_GRACE) + 15;
      expect(Number.parseInt(service.stop_grace_period ?? '', 10), name).toBeGreaterThan(grace);
      expect(service).not.toHaveProperty('container_name');
      if (name !== 'web') expect(service).not.toHaveProperty('ports');
    }
    // without TLS nothing listens beyond this machine
    const ports = Object.values(services).flatMap((service) => service.ports ?? []);
    expect(ports.filter((port) => !port.startsWith('127.0.0.1:'))).toEqual([]);
  });

  test('files and volumes that compose mounts exist; monitoring starts only when asked for', () => {
    for (const mount of Object.values(services).flatMap((service) => service.volumes ?? [])) {
      const [source = ''] = mount.split(':');
      if (source.startsWith('.')) expect(existsSync(path.join(ROOT, source)), source).toBe(true);
      else expect(volumes).toHaveProperty(source);
    }
    const extra = Object.keys(services).filter((name) => services[name]?.profiles?.includes('monitoring'));
    expect(extra).toEqual(['prometheus', 'grafana']);
  });

  test('the image copies what the Dockerfile needs, and never the sandbox', () => {
    const kept = read('.dockerignore')
      .split('\n')
      .filter((line) => line.startsWith('!'))
      .map((line) => line.slice(1));
    const copied = [...read('Dockerfile').matchAll(/^COPY (?!--from)(.+) \S+$/gm)].flatMap(
      ([, sources = '']) => sources.split(' '),
    );
    expect([...new Set(copied)].sort()).toEqual([...kept].sort());
    for (const source of kept) expect(existsSync(path.join(ROOT, source)), source).toBe(true);
    expect(kept).not.toContain('sandbox');
  });

  test('the image runs as nobody in particular, with dependencies of production alone', () => {
    const last =
      read('Dockerfile')
        .split(/^FROM /m)
        .at(-1) ?? '';
    expect(last).toMatch(/^USER [1-9]\d*:\d+$/m);
    expect(last).toMatch(/^ENV NODE_ENV=production HOST=0\.0\.0\.0 PORT=8080 METRICS_PORT=9400$/m);
    expect(last).toMatch(/^COPY --from=dependencies \S+ node_modules$/m);
    expect(read('Dockerfile')).toMatch(/AS dependencies[\s\S]*?\nRUN npm ci --omit=dev --omit=optional\n/);
    // in the exec form: a shell in between would keep SIGTERM to itself
    expect(last).toMatch(/^CMD \["node", "dist\/src\/cli\/main\.js", "--help"\]$/m);
  });
});

describe('deploy/healthcheck.mjs (O4)', () => {
  let status = 200;
  let server: Server;
  let port = '';
  beforeAll(async () => {
    server = createServer((request, response) =>
      response.writeHead(request.url === '/healthz' ? status : 404).end('not consuming'),
    );
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    port = String((server.address() as AddressInfo).port);
  });
  afterAll(() => new Promise((resolve) => server.close(resolve)));

  test.each([
    ['a worker that is well', 200, 'METRICS_PORT', 0],
    ['web that is well', 200, 'PORT', 0],
    ['a worker that does not consume', 503, 'METRICS_PORT', 1],
  ])('%s', async (_, answer, mine, code) => {
    status = answer;
    const env = { METRICS_PORT: '1', PORT: '1', [mine]: port }; // nothing listens on port 1
    const check = spawn(process.execPath, [path.join(ROOT, 'deploy/healthcheck.mjs')], { env });
    let said = '';
    check.stderr.on('data', (chunk) => {
      said += chunk;
    });
    expect(await once(check, 'close')).toEqual([code, null]);
    expect(said).toMatch(code === 0 ? /^$/ : /503 not consuming/);
  });
});
