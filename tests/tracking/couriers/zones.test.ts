import { spawnSync } from 'node:child_process';
import { describe, expect, test } from 'vitest';
import { ROOT } from '../../support/process.ts';

/** What every courier's file reads of every recorded answer of its own, wherever the process runs. */
const SCRIPT = `
  import { readdirSync, readFileSync } from 'node:fs';
  import { couriers } from './src/tracking/registry.ts';
  const folder = 'tests/fixtures/couriers';
  const numbersIn = (text) => [...new Set(text.match(/[A-Z0-9]{6,40}/gi) ?? [])];
  const read = {};
  for (const courier of couriers)
    for (const file of readdirSync(folder).filter((name) => name.startsWith(courier.name + '.') && name.endsWith('.json'))) {
      const text = readFileSync(folder + '/' + file, 'utf8');
      const result = courier.read({ status: 200, headers: {}, text }, numbersIn(text), Date.parse('2026-11-29T00:00:00Z'));
      read[file] = result.ok ? [...result.value] : result.failure.kind;
    }
  console.log(JSON.stringify(read));`;

function readIn(zone: string): Record<string, unknown> {
  const { stdout, stderr } = spawnSync(
    process.execPath,
    ['--import', 'tsx', '--input-type=module', '-e', SCRIPT],
    { cwd: ROOT, env: { PATH: process.env.PATH, TZ: zone }, encoding: 'utf8', maxBuffer: 100e6 },
  );
  expect(stderr).toBe('');
  return JSON.parse(stdout);
}

describe('E2, C4: the host’s zone decides nothing', () => {
  const utc = readIn('UTC');

  test('there is something to read', () => {
    const read = Object.entries(utc).filter(([, items]) => Array.isArray(items) && items.length > 0);
    expect(read.length).toBeGreaterThan(50);
    expect(JSON.stringify(utc).match(/"at":"20/g)?.length).toBeGreaterThan(30);
  });
  test.each(['Asia/Kolkata', 'America/New_York', 'Europe/Bucharest'])('%s', (zone) => {
    expect(readIn(zone)).toEqual(utc);
  });
});
