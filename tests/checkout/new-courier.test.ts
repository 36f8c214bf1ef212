import { execFile } from 'node:child_process';
import { cp, mkdir, mkdtemp, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { promisify } from 'node:util';
import { expect, onTestFinished, test } from 'vitest';
import { createCourier } from '../../scripts/create-courier.ts';
import type { Courier } from '../../src/tracking/toolkit/courier.ts';
import { malformedBy } from '../support/malformed.ts';
import { ROOT, startProcess } from '../support/process.ts';
import { failure, scan } from '../tracking/couriers/reading.ts';

const run = promisify(execFile);
const FILES = [
  'src/tracking/couriers/swift-parcel-of-the-north.ts',
  'sandbox/couriers/apis/swift-parcel-of-the-north.ts',
  'tests/tracking/couriers/swift-parcel-of-the-north.test.ts',
  'tests/fixtures/couriers/swift-parcel-of-the-north.answer.json',
];

/** Nothing of it depends on the queues: it is not repeated in the run without Redis. */
const once = test.skipIf(process.env.ORDERFLEET_TEST_REDIS === 'off');

/** What a courier's files and their tests need of this checkout, in a folder that may be written to. */
async function checkout(): Promise<string> {
  const folder = await mkdtemp(path.join(os.tmpdir(), 'orderfleet-checkout-'));
  onTestFinished(() => rm(folder, { recursive: true, force: true }));
  const couriers = ['four.ts', 'reading.ts'].map((file) => `tests/tracking/couriers/${file}`);
  const sandbox = ['couriers.ts', 'client.ts', 'couriers-lives.test.ts'].map(
    (file) => `tests/sandbox/${file}`,
  );
  for (const part of [
    'src',
    'sandbox',
    'tests/fixtures/couriers',
    'tsconfig.json',
    'package.json',
    'biome.json',
    ...couriers,
    ...sandbox,
  ]) {
    await mkdir(path.dirname(path.join(folder, part)), { recursive: true });
    await cp(path.join(ROOT, part), path.join(folder, part), { recursive: true });
  }
  // the new files and whatever lists couriers: all of src/ would take half a minute
  const few = { extends: './tsconfig.json', include: ['sandbox/couriers', 'tests'], files: [FILES[0]] };
  await writeFile(path.join(folder, 'tsconfig.few.json'), JSON.stringify(few));
  await symlink(path.join(ROOT, 'node_modules'), path.join(folder, 'node_modules'));
  await writeFile(path.join(folder, 'vitest.config.ts'), 'export default {};\n');
  return folder;
}

const bin = (folder: string, name: string, ...args: string[]) =>
  run(path.join(ROOT, 'node_modules/.bin', name), args, { cwd: folder }).then(
    ({ stdout, stderr }) => ({ code: 0, output: stdout + stderr }),
    ({ code, stdout, stderr }) => ({ code: code as number, output: `${stdout}${stderr}` }),
  );

interface Report {
  testResults: { assertionResults: { fullName: string; status: string; failureMessages: string[] }[] }[];
}

once(
  'C15: npm run new:courier writes a courier that tracks, and tests that say what to fill in',
  async () => {
    const folder = await checkout();
    const args = ['swift-parcel-of-the-north', '--into', folder];
    const written = startProcess('scripts/new-courier.ts', { args: [...args, '--title', 'Swift & Parcel'] });
    expect(await written.exited).toMatchObject({ code: 0 });
    for (const file of FILES) {
      expect(written.output()).toContain(`  ${file}\n`);
      const text = await readFile(path.join(folder, file), 'utf8');
      expect(text).not.toMatch(/new.courier|new-text/i);
    }
    expect(await bin(folder, 'tsc', '-p', 'tsconfig.few.json')).toEqual({ code: 0, output: '' });
    const linted = await bin(folder, 'biome', 'check', '--vcs-enabled=false', ...FILES.slice(0, 3));
    expect(linted, linted.output).toMatchObject({ code: 0 });

    // what bounds.test.ts expects of it, as of every courier
    const { default: courier } = (await import(path.join(folder, FILES[0] as string))) as {
      default: Courier<Record<never, never>>;
    };
    const { kind, message } = failure(courier, '[1]', ['1', '2']);
    expect(`${kind}: ${message}`).toContain(malformedBy('Swift & Parcel'));
    // a courier's spelling varies, and a parcel may be picked up twice
    const events = [
      { status: 'In transit', at: '2026-09-09T12:00:00Z' },
      { status: 'Picked up', at: '2026-09-08T12:00:00Z' },
      { status: 'picked-up', at: '2026-09-07T12:00:00Z' },
    ];
    const pickedUpAt = new Date('2026-09-07T12:00:00Z');
    expect(scan(courier, { parcels: [{ number: '1', events }] }, '1')).toMatchObject({ pickedUpAt });

    const report = path.join(folder, 'report.json');
    // its own four, and what the stand-ins' tests ask of each
    const names = '^(request|read|errors|statuses) | at swift-parcel-of-the-north$';
    const ran = await bin(folder, 'vitest', 'run', '-t', names, '--reporter=json', `--outputFile=${report}`);
    expect(ran.code, ran.output).toBe(1);
    const results = (JSON.parse(await readFile(report, 'utf8')) as Report).testResults.flatMap(
      (file) => file.assertionResults,
    );
    const failed = results.filter(({ status }) => status === 'failed');
    expect(failed.map(({ fullName }) => fullName)).toEqual([
      'request is to be filled in',
      'read is to be filled in',
      'errors is to be filled in',
      'statuses is to be filled in',
    ]);
    for (const { failureMessages } of failed)
      expect(failureMessages[0]).toContain('Swift & Parcel: fill in `');
    // its stand-in is asked by the tests of all
    const passed = results.filter(({ status }) => status === 'passed').map(({ fullName }) => fullName);
    expect(passed).toContainEqual(expect.stringMatching(/ at swift-parcel-of-the-north$/));
    expect(passed).toContainEqual(expect.stringContaining('R4: nothing throws'));

    const again = startProcess('scripts/new-courier.ts', { args });
    expect(await again.exited).toMatchObject({ code: 2 });
    expect(again.output()).toContain(`courier swift-parcel-of-the-north already exists: ${FILES[0]}`);
  },
  180_000,
);

once.each([
  [[], 'expected one NAME'],
  [['DPD'], '"DPD" is not a valid courier name'],
  [['../dpd'], 'is not a valid courier name'],
  [['all'], '"all" is not a valid courier name'],
  [['velocity'], 'courier velocity already exists: src/tracking/couriers/velocity.ts'],
  [['delhivery'], 'DELHIVERY_URL is already another setting'],
  [['dpd', '--title', '`'], '--title "`"'],
])('new:courier %j is refused: %s', async (args, why) => {
  const folder = await mkdtemp(path.join(os.tmpdir(), 'orderfleet-checkout-'));
  onTestFinished(() => rm(folder, { recursive: true, force: true }));
  // a name that is taken is so in this checkout, which is not written to
  const into = args.includes('velocity') ? [] : ['--into', folder];
  expect(() => createCourier([...args, ...into])).toThrow(why);
});
