import { readFileSync } from 'node:fs';
import path from 'node:path';
import { parser } from '@prometheus-io/lezer-promql';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { parse, parseAllDocuments } from 'yaml';
import { addStore } from '../../src/temu/stores.ts';
import { reconcileTrackers } from '../../src/tracking/index.ts';
import { createApp } from '../../src/web/server.ts';
import { readExposition } from '../support/exposition.ts';
import { startTestFleet, type TestFleet } from '../support/fleet.ts';
import { ROOT } from '../support/process.ts';

const read = (file: string) => readFileSync(path.join(ROOT, file), 'utf8');

interface Rule {
  alert: string;
  expr: string;
  for: string;
  labels: { severity: string };
  annotations: { summary: string; description: string; runbook_url: string };
}
const rules = (parse(read('deploy/prometheus/rules.yml')) as { groups: { rules: Rule[] }[] }).groups.flatMap(
  (group) => group.rules,
);

interface Panel {
  id: number;
  type: string;
  title: string;
  gridPos: { x: number; y: number; w: number; h: number };
  targets?: { expr: string }[];
  fieldConfig?: { defaults: { unit?: string } };
  panels?: Panel[];
}
interface Dashboard {
  uid: string;
  schemaVersion: number;
  panels: Panel[];
  templating: { list: { name: string; type: string; query: unknown }[] };
}
const dashboard = JSON.parse(read('deploy/grafana/orderfleet.json')) as Dashboard;
const panels = dashboard.panels.filter(({ type }) => type !== 'row');

/** Every expression, with where it stands; Grafana's own variables are filled in as Grafana would. */
const expressions: [where: string, expr: string][] = [
  ...rules.map(({ alert, expr }): [string, string] => [`alert ${alert}`, expr]),
  ...panels.flatMap(({ title, targets = [] }) =>
    targets.map(({ expr }): [string, string] => [
      `panel ${title}`,
      expr.replaceAll('$__rate_interval', '1m').replace(/\$(queue|api)\b/g, '.+'),
    ]),
  ),
  ...parseAllDocuments(read('deploy/kubernetes/keda/scaled-objects.yaml')).flatMap((document) => {
    const { metadata, spec } = document.toJS();
    return spec.triggers.map((trigger: { name: string; metadata: { query: string } }): [string, string] => [
      `scaler ${metadata.name} ${trigger.name}`,
      trigger.metadata.query,
    ]);
  }),
];

/** The metrics of an expression with the labels that are asked for of each, and those that it groups by. */
function namesIn(expr: string) {
  const metrics: { name: string; labels: Record<string, string> }[] = [];
  const grouped: string[] = [];
  let faulty = false;
  let matched = '';
  parser.parse(expr).iterate({
    enter(node) {
      const text = expr.slice(node.from, node.to);
      if (node.type.isError) faulty = true;
      if (node.name === 'Identifier') metrics.push({ name: text, labels: {} });
      if (node.name === 'LabelName') {
        if (node.node.parent?.name === 'GroupingLabels') grouped.push(text);
        else matched = text;
      }
      const labels = metrics.at(-1)?.labels;
      if (node.name === 'StringLiteral' && labels) labels[matched] = text.slice(1, -1);
    },
  });
  return { metrics, grouped, faulty };
}

/** What Prometheus adds to every series (`role` by prometheus.yml and the PodMonitor), and its own series. */
const ADDED = ['job', 'instance', 'role'];
const OF_PROMETHEUS = ['up'];

describe('Prometheus rules, Grafana dashboard and KEDA scalers (O4, O5)', () => {
  let stack: TestFleet;
  /** Labels of each series that a web process really tells. */
  const series = new Map<string, Map<string, Set<string>>>();

  beforeAll(async () => {
    const nowhere = 'http://127.0.0.1:9/';
    stack = await startTestFleet(
      'postgres',
      { eu: nowhere, us: nowhere, global: nowhere },
      { DELHIVERY_AUTH_TOKEN_B2C: 'a-key', DELHIVERY_URL: nowhere, DELHIVERY_FALLBACK_URL: nowhere },
    );
    const { fleet, sql } = stack;
    await reconcileTrackers(fleet, undefined);
    const storeId = await addStore(fleet.db, fleet.secrets, {
      ...{ name: 'shop', region: 'EU', country: 'RO', apiVersion: 'v1' },
      ...{ appKey: 'key', appSecret: 'secret', accessToken: 'token' },
    });
    // an order near its deadline, a parcel of each tracker: some numbers are missing where nothing is there to be counted
    await sql`with o as (insert into orders (source, store_id, marketplace_order_id, status, ship_by_date)
        values ('temu', ${storeId}, 'PO-1', 'Ready for Shipping', now() + interval '30 minutes') returning id)
      insert into temu_orders (order_id) select id from o`;
    await sql`with o as (insert into orders (source, marketplace_order_id) values ('shopify', '#1'), ('amazon', '#2') returning id, source)
      insert into shipments (order_id, booking_courier, booked_at, awb_number) select id, 'Delhivery', now(), source from o`;
    fleet.metrics.observeProcess();
    fleet.metrics.request('temu')('ok');
    fleet.metrics.job('temu-orders')('done');
    const page = await createApp(fleet).request('/metrics');
    expect(page.status).toBe(200);
    // prom-client writes Nan for a mean of nothing; Prometheus reads it in any case of letters
    for (const { name, labels } of readExposition((await page.text()).replace(/ Nan$/gm, ' NaN'))) {
      const known = series.get(name) ?? new Map<string, Set<string>>();
      for (const [label, value] of Object.entries(labels))
        known.set(label, (known.get(label) ?? new Set()).add(value));
      series.set(name, known);
    }
  });
  afterAll(() => stack?.close());

  test('every expression parses, and a broken one would not', () => {
    for (const [where, expr] of expressions) expect(namesIn(expr).faulty, where).toBe(false);
    expect(namesIn('sum by (queue (rate(x[5m]))').faulty).toBe(true);
  });

  test('every metric and every label that they name is on the page of /metrics', () => {
    for (const [where, expr] of expressions) {
      const { metrics, grouped } = namesIn(expr);
      expect(metrics.length, where).toBeGreaterThan(0);
      const known = new Set(ADDED);
      for (const { name, labels } of metrics) {
        if (!OF_PROMETHEUS.includes(name)) expect([...series.keys()], where).toContain(name);
        const here = [...(series.get(name)?.keys() ?? []), ...ADDED];
        for (const label of Object.keys(labels)) expect(here, `${where}: ${name}`).toContain(label);
        for (const label of here) known.add(label);
      }
      for (const label of grouped) expect([...known], where).toContain(label);
    }
  });

  test('every queue, state, tracker and quantile that they ask for is there', () => {
    // outcomes and APIs appear with the first call of their kind
    const closed = ['queue', 'state', 'tracker', 'quantile'];
    for (const [where, expr] of expressions)
      for (const { name, labels } of namesIn(expr).metrics.filter(
        (one) => !/_(count|bucket)$/.test(one.name),
      ))
        for (const label of Object.keys(labels).filter((one) => closed.includes(one))) {
          const values = [...(series.get(name)?.get(label) ?? [])];
          const fits = new RegExp(`^(?:${labels[label]})$`);
          expect(values.filter((value) => fits.test(value)).length, `${where}: ${label}`).toBeGreaterThan(0);
        }
  });

  test('what the whole fleet’s numbers say is never summed over web processes', () => {
    const ofFleet = [...series.keys()].filter(
      (name) => /^(orderfleet|bullmq)_/.test(name) && !/^orderfleet_(api_|job_|healthy$)/.test(name),
    );
    expect(ofFleet.length).toBeGreaterThan(15);
    for (const [where, expr] of expressions)
      for (const { name } of namesIn(expr).metrics)
        if (ofFleet.includes(name))
          expect(expr, where).toMatch(
            new RegExp(`(max|min)( by \\([a-z]+\\))? ?\\((avg_over_time\\()?${name}\\b|absent\\(${name}\\)`),
          );
  });
});

describe('alerts and docs/runbook.md', () => {
  const runbook = read('docs/runbook.md');
  const entries = [...runbook.matchAll(/^### (\S+)$/gm)].map(([, name = '']) => name);

  test('every alert has its entry, and every entry its alert', () => {
    const alerts = rules.map(({ alert }) => alert);
    expect(new Set(alerts).size).toBe(alerts.length);
    expect([...entries].sort()).toEqual([...alerts].sort());
    for (const { alert, annotations } of rules)
      expect(annotations.runbook_url).toBe(`docs/runbook.md#${alert.toLowerCase()}`);
  });

  test('every alert says how bad it is, how long it must last, and what it is about', () => {
    for (const rule of rules) {
      expect(['critical', 'warning', 'info'], rule.alert).toContain(rule.labels.severity);
      expect(rule.for, rule.alert).toMatch(/^[1-9]\d*[mh]$/);
      expect(rule.annotations.summary.length, rule.alert).toBeGreaterThan(10);
      expect(rule.annotations.description.length, rule.alert).toBeGreaterThan(10);
    }
  });

  test('every entry has its meaning, impact, diagnosis and action', () => {
    for (const entry of runbook.split(/^### /m).slice(1))
      for (const part of ['**Meaning:**', '**Impact:**', '**Diagnosis:**', '**Action:**'])
        expect(entry, entry.split('\n')[0]).toContain(part);
  });

  test('its links lead somewhere', () => {
    const anchors = [...runbook.matchAll(/^#+ (.+)$/gm)].map(([, title = '']) => title.toLowerCase());
    for (const [, anchor = ''] of runbook.matchAll(/\]\(#([^)]+)\)/g)) expect(anchors).toContain(anchor);
    const titles = [...read('docs/deploy.md').matchAll(/^#+ (.+)$/gm)].map(([, title = '']) =>
      title.toLowerCase().replaceAll(' ', '-'),
    );
    for (const [, anchor = ''] of runbook.matchAll(/\]\(deploy\.md#([^)]+)\)/g))
      expect(titles).toContain(anchor);
  });

  test('panels that it sends people to are on the dashboard', () => {
    const titles = dashboard.panels.map(({ title }) => title);
    for (const title of [
      'Use of quotas',
      'Answers other than ok',
      'Workers',
      'Rate-limit pauses',
      'Memory',
    ]) {
      expect(runbook).toContain(`_${title}_`);
      expect(titles).toContain(title);
    }
  });
});

describe('deploy/grafana/orderfleet.json', () => {
  test('is a dashboard that any Prometheus of a Grafana can serve', () => {
    expect(dashboard.schemaVersion).toBeGreaterThanOrEqual(39);
    expect(dashboard.templating.list[0]).toMatchObject({ name: 'datasource', type: 'datasource' });
    const sources = read('deploy/grafana/orderfleet.json').match(/"uid": "[^"]+"/g) ?? [];
    expect(new Set(sources)).toEqual(new Set([`"uid": "${dashboard.uid}"`, `"uid": "\${datasource}"`]));
  });

  test('every panel has a unit and a place of its own', () => {
    expect(new Set(dashboard.panels.map(({ id }) => id)).size).toBe(dashboard.panels.length);
    const taken = new Set<string>();
    for (const { title, gridPos, type, fieldConfig } of dashboard.panels) {
      if (type !== 'row') expect(fieldConfig?.defaults.unit, title).toBeTruthy();
      expect(gridPos.x + gridPos.w, title).toBeLessThanOrEqual(24);
      for (let x = gridPos.x; x < gridPos.x + gridPos.w; x += 1)
        for (let y = gridPos.y; y < gridPos.y + gridPos.h; y += 1) {
          expect(taken.has(`${x} ${y}`), title).toBe(false);
          taken.add(`${x} ${y}`);
        }
    }
  });
});
