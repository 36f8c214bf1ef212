import { readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import * as keda from '@kubernetes-models/keda/keda.sh/v1alpha1';
import * as apps from 'kubernetes-models/apps/v1';
import * as batch from 'kubernetes-models/batch/v1';
import * as networking from 'kubernetes-models/networking.k8s.io/v1';
import * as policy from 'kubernetes-models/policy/v1';
import * as core from 'kubernetes-models/v1';
import { describe, expect, test } from 'vitest';
import { parseAllDocuments } from 'yaml';
import { parseConfig } from '../../src/config/index.ts';
import { settings } from '../../src/config/settings.ts';
import { trackingSettings } from '../../src/tracking/index.ts';
import { ROOT } from '../support/process.ts';

const FOLDER = path.join(ROOT, 'deploy/kubernetes');
const MODELS: Record<string, object> = {
  v1: core,
  'apps/v1': apps,
  'batch/v1': batch,
  'networking.k8s.io/v1': networking,
  'policy/v1': policy,
  'keda.sh/v1alpha1': keda,
};
/** Kinds for which no package has a schema: their files are read as YAML alone, and docs/deploy.md says so. */
const WITHOUT_SCHEMA = ['Kustomization', 'PodMonitor'];

// biome-ignore lint/suspicious/noExplicitAny: manifests of a dozen kinds, each checked against its schema first
type Manifest = any;

const files = readdirSync(FOLDER, { recursive: true, encoding: 'utf8' })
  .filter((file) => file.endsWith('.yaml'))
  .sort();
const documentsOf = (file: string): Manifest[] =>
  parseAllDocuments(readFileSync(path.join(FOLDER, file), 'utf8'), { merge: true }).map((document) => {
    expect(document.errors, file).toEqual([]);
    return document.toJS();
  });
const manifests = files.flatMap((file) => documentsOf(file).map((manifest) => ({ file, manifest })));
const all = (kind: string): Manifest[] =>
  manifests.map(({ manifest }) => manifest).filter((one) => one.kind === kind);
const named = (kind: string, name: string): Manifest =>
  all(kind).find(({ metadata }) => metadata.name === name);

const roles = readdirSync(path.join(ROOT, 'workers'))
  .map((file) => path.basename(file, '.ts'))
  .filter((name) => name !== 'index')
  .sort();
const workloads = [...all('Deployment'), ...all('Job')];
const containerOf = (workload: Manifest): Manifest => workload.spec.template.spec.containers[0];
const matches = (selector: Record<string, string>, labels: Record<string, string>) =>
  Object.entries(selector).every(([key, value]) => labels[key] === value);
const config: Record<string, string> = named('ConfigMap', 'orderfleet').data;

describe('deploy/kubernetes (O5)', () => {
  test.each(manifests.map(({ file, manifest }) => [file, manifest.kind, manifest] as const))(
    '%s: %s is as its published schema wants it',
    (_, kind, manifest) => {
      const Model = (
        MODELS[manifest.apiVersion] as Record<string, new (data: object) => { validate(): void }>
      )?.[kind];
      if (!Model) return expect(WITHOUT_SCHEMA).toContain(kind);
      expect(() => new Model(manifest).validate()).not.toThrow();
    },
  );

  test('the schemas do refuse what is wrong', () => {
    const wrong = { metadata: { name: 'x' }, spec: { replicas: 'two', selector: {}, template: {} } };
    expect(() => new apps.Deployment(wrong as never).validate()).toThrow(/replicas must be integer/);
  });

  test('every kustomization names files that exist, and no file is forgotten but the examples', () => {
    const listed = manifests
      .filter(({ manifest }) => manifest.kind === 'Kustomization')
      .flatMap(({ file, manifest }) =>
        manifest.resources.map((resource: string) => path.join(path.dirname(file), resource)),
      );
    const kept = files.filter((file) => !/kustomization\.yaml$|\.example\.yaml$/.test(file));
    expect(listed.sort()).toEqual(kept);
  });

  test('the migration and the pods run the same image, of one version', () => {
    const images = all('Kustomization').flatMap(({ images = [] }) => images);
    expect(images).toHaveLength(2);
    expect(images[0]).toEqual(images[1]);
    expect(images[0].newTag).not.toBe('latest');
    for (const workload of workloads) expect(containerOf(workload).image).toBe(images[0].name);
  });

  test('every role has its Deployment and its PodDisruptionBudget, and their selectors find the pods', () => {
    expect(
      all('Deployment')
        .map(({ metadata }) => metadata.name)
        .sort(),
    ).toEqual(roles);
    for (const role of roles) {
      const { spec } = named('Deployment', role);
      const { labels } = spec.template.metadata;
      expect(containerOf({ spec }).command).toEqual(['node', `dist/workers/${role}.js`]);
      expect(labels['app.kubernetes.io/component']).toBe(role);
      for (const selector of [
        spec.selector,
        named('PodDisruptionBudget', role).spec.selector,
        spec.template.spec.topologySpreadConstraints[0].labelSelector,
      ])
        expect(
          roles.filter((one) =>
            matches(selector.matchLabels, named('Deployment', one).spec.template.metadata.labels),
          ),
        ).toEqual([role]);
    }
  });

  test('what pods are told comes from maps and secrets that are there, and every name is a setting', () => {
    const names = [...Object.keys(settings.shape), ...Object.keys(trackingSettings)];
    const data: Record<string, Record<string, string>> = {};
    for (const { metadata, data: plain, stringData } of [...all('ConfigMap'), ...all('Secret')])
      data[metadata.name] = { ...data[metadata.name], ...plain, ...stringData };
    for (const values of Object.values(data))
      for (const name of Object.keys(values)) expect(names).toContain(name);
    for (const workload of workloads) {
      const { envFrom = [], env = [] } = containerOf(workload);
      for (const { configMapRef, secretRef } of envFrom)
        expect(named(configMapRef ? 'ConfigMap' : 'Secret', (configMapRef ?? secretRef).name)).toBeDefined();
      for (const { name, valueFrom } of env) {
        expect(names).toContain(name);
        expect(data[valueFrom.secretKeyRef.name]).toHaveProperty(valueFrom.secretKeyRef.key);
      }
    }
    const { name, key } = all('PodMonitor')[0].spec.podMetricsEndpoints[0].authorization.credentials;
    expect(data[name]).toHaveProperty(key);
  });

  test('secrets are templates without values; a filled one makes a right environment', () => {
    const filled: Record<string, string> = { ...config };
    for (const { stringData } of all('Secret'))
      for (const [name, value] of Object.entries(stringData)) {
        expect(value, name).toBe('');
        filled[name] = '';
      }
    Object.assign(filled, {
      DATABASE_URL: 'postgres://a@b/c',
      CREDENTIALS_KEY: Buffer.alloc(32).toString('base64'),
    });
    expect(() => parseConfig(filled, trackingSettings)).not.toThrow();
  });

  test('ports: containers, probes, services, scraping and network policy speak of the same ones', () => {
    for (const role of roles) {
      const { ports, startupProbe, livenessProbe, readinessProbe } = containerOf(named('Deployment', role));
      const [name, port] = role === 'web' ? ['http', config.PORT] : ['metrics', config.METRICS_PORT];
      expect(ports).toEqual([{ name, containerPort: Number(port) }]);
      for (const probe of [startupProbe, livenessProbe, readinessProbe])
        expect(probe.httpGet.port).toBe(name);
      expect([startupProbe, livenessProbe, readinessProbe].map(({ httpGet }) => httpGet.path)).toEqual([
        '/healthz',
        '/healthz',
        '/readyz',
      ]);
    }
    expect(config.HOST).toBe('0.0.0.0');
    const service = named('Service', 'web').spec;
    expect(service.ports[0].targetPort).toBe('http');
    expect(matches(service.selector, named('Deployment', 'web').spec.template.metadata.labels)).toBe(true);
    const { backend } = named('Ingress', 'web').spec.rules[0].http.paths[0];
    expect(backend.service).toEqual({ name: 'web', port: { name: service.ports[0].name } });
    expect(
      all('PodMonitor')[0].spec.podMetricsEndpoints.map(({ port, path: of }: Manifest) => [port, of]),
    ).toEqual([
      ['metrics', '/metrics'],
      ['http', '/metrics'],
    ]);
    const let_in = (name: string) =>
      named('NetworkPolicy', name).spec.ingress[0].ports.map(({ port }: Manifest) => String(port));
    expect(let_in('fleet')).toEqual([config.METRICS_PORT, config.PORT]);
    expect(let_in('web')).toEqual([config.PORT]);
  });

  test('O2 the platform waits longer than a process may take to stop', () => {
    const { SHUTDOWN_GRACE: byDefault } = parseConfig({
      DATABASE_URL: 'postgres://a@b/c',
      CREDENTIALS_KEY: Buffer.alloc(32).toString('base64'),
    });
    expect(Number(config.SHUTDOWN_GRACE)).toBe(byDefault);
    for (const workload of all('Deployment')) {
      const preStop = containerOf(workload).lifecycle?.preStop.exec.command[1] ?? 0;
      // 15 s: after them the process ends itself (src/fleet/index.ts)
      expect(workload.spec.template.spec.terminationGracePeriodSeconds).toBeGreaterThan(
        Number(preStop) + Number(config.SHUTDOWN_GRACE) + 15,
      );
    }
  });

  test('R5 no pod may do more than it needs, as the namespace enforces', () => {
    expect(named('Namespace', 'orderfleet').metadata.labels).toMatchObject({
      'pod-security.kubernetes.io/enforce': 'restricted',
    });
    expect(named('ServiceAccount', 'orderfleet').automountServiceAccountToken).toBe(false);
    const [, user] = /^USER (\d+):\d+$/m.exec(readFileSync(path.join(ROOT, 'Dockerfile'), 'utf8')) ?? [];
    for (const { spec } of workloads) {
      const pod = spec.template.spec;
      expect(pod.serviceAccountName).toBe('orderfleet');
      expect(pod.automountServiceAccountToken).toBe(false);
      expect(pod.securityContext).toMatchObject({ runAsNonRoot: true, runAsUser: Number(user) });
      expect(pod.securityContext.seccompProfile.type).toBe('RuntimeDefault');
      expect(containerOf({ spec }).securityContext).toEqual({
        allowPrivilegeEscalation: false,
        readOnlyRootFilesystem: true,
        capabilities: { drop: ['ALL'] },
      });
      const { requests, limits } = containerOf({ spec }).resources;
      expect(Number.parseInt(requests.memory, 10)).toBeGreaterThan(150); // a worker holds less than 150 MB
      expect(Number.parseInt(limits.memory, 10)).toBeGreaterThanOrEqual(
        2 * Number.parseInt(requests.memory, 10),
      );
      expect(limits).not.toHaveProperty('cpu');
    }
  });

  test('KEDA scales what exists, by age and backlog, to a ceiling; and the fallback lies within', () => {
    const scaled = all('ScaledObject').map(({ metadata }) => metadata.name);
    expect(scaled.sort()).toEqual(['alerts', 'awb', 'temu', 'tracking']);
    for (const { metadata, spec } of all('ScaledObject')) {
      expect(spec.scaleTargetRef.name).toBe(metadata.name);
      // a number here would undo KEDA's at every apply
      expect(named('Deployment', spec.scaleTargetRef.name).spec).not.toHaveProperty('replicas');
      expect(spec.minReplicaCount).toBeGreaterThanOrEqual(1);
      expect(spec.maxReplicaCount).toBeGreaterThan(spec.minReplicaCount);
      expect(spec.maxReplicaCount).toBeLessThanOrEqual(4);
      expect(spec.fallback.replicas).toBeGreaterThanOrEqual(spec.minReplicaCount);
      expect(spec.fallback.replicas).toBeLessThanOrEqual(spec.maxReplicaCount);
      expect(spec.triggers.map(({ name }: Manifest) => name)).toEqual(['oldest', 'backlog']);
      for (const { type, metricType, metadata: trigger } of spec.triggers) {
        expect([type, metricType, trigger.ignoreNullValues]).toEqual(['prometheus', 'AverageValue', 'false']);
        expect(Number(trigger.threshold)).toBeGreaterThan(Number(trigger.activationThreshold));
      }
      expect(spec.triggers[0].metadata.query).toMatch(/orderfleet_queue_oldest_seconds\{queue=/);
      expect(spec.triggers[1].metadata.query).toMatch(/orderfleet_queue_depth\{queue=/);
    }
  });
});
