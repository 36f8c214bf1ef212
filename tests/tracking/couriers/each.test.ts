import { existsSync } from 'node:fs';
import path from 'node:path';
import { describe, expect, test } from 'vitest';
import { z } from 'zod';
import { standIns } from '../../../sandbox/couriers/catalogue.ts';
import { createCouriers } from '../../../sandbox/couriers/couriers.ts';
import { parseConfig } from '../../../src/config/index.ts';
import { couriers, createTrackers } from '../../../src/tracking/registry.ts';
import { ROOT } from '../../support/process.ts';

/** What holds of every courier, whoever adds one (C15). */
const url = () => 'http://127.0.0.1:9';
const clock = { offsetMs: 0, now: () => Date.now() };
const offered = createCouriers({ clock, seed: 1, speed: 1, options: {}, mount: () => {}, url }).env();

test('C15: every stand-in is of a courier', () => {
  const names = couriers.map(({ name }) => name);
  expect(standIns.map(({ name }) => name).filter((name) => !names.includes(name))).toEqual([]);
});

describe.each(couriers.map((courier) => [courier.name, courier] as const))('C15: %s', (name, courier) => {
  const standIn = standIns.find((one) => one.name === name);

  test('is in a file of its name, with a test and a stand-in', () => {
    for (const file of [
      `src/tracking/couriers/${name}.ts`,
      `sandbox/couriers/apis/${name}.ts`,
      `tests/tracking/couriers/${name}.test.ts`,
    ])
      expect(existsSync(path.join(ROOT, file)), file).toBe(true);
    expect(standIn).toBeDefined();
  });

  test('is switched on by what leads to its stand-in, which are settings of its own', () => {
    const leads = Object.keys(standIn?.env ?? {});
    expect(leads.filter((variable) => !(variable in courier.settings))).toEqual([]);
    const own = Object.fromEntries(leads.map((variable) => [variable, offered[variable]]));
    expect(courier.connect(z.object(courier.settings).parse(own))).toBeDefined();
  });

  test('C11: another secret is another one: what the former was refused is over', () => {
    const leads = Object.keys(standIn?.env ?? {});
    const own = Object.fromEntries(leads.map((variable) => [variable, offered[variable] ?? '']));
    const digest = (env: Record<string, string>) => {
      const config = parseConfig({
        DATABASE_URL: 'postgres://nobody@127.0.0.1/none',
        CREDENTIALS_KEY: Buffer.alloc(32, 7).toString('base64'),
        ...env,
      });
      return createTrackers(config).find((tracker) => tracker.name === name)?.credentials;
    };
    expect(digest(own)).toBe(digest({ ...own }));
    for (const secret of leads.filter((variable) => /PASSWORD|SECRET|(?<!WEBHOOK_)TOKEN|KEY/.test(variable)))
      expect(digest({ ...own, [secret]: `${own[secret]}x` }), secret).not.toBe(digest(own));
  });

  test('wants no setting, and says of each what it is', () => {
    expect(z.object(courier.settings).safeParse({}).success).toBe(true);
    for (const [variable, field] of Object.entries(courier.settings))
      expect((field as z.ZodType).description, variable).toMatch(/\S/);
  });
});
