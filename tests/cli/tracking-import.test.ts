import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createWriteStream } from 'node:fs';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, expect, test, vi } from 'vitest';
import { startTestFleet, type TestFleet } from '../support/fleet.ts';
import { programOf } from '../support/process.ts';
import { orderfleet, startOrderfleet } from './orderfleet.ts';

// every command is a process of its own: a second each, more where others share the machine
vi.setConfig({ testTimeout: 120_000 });
const HEADER = 'source,marketplace_order_id,booking_courier,booked_at,awb_number,lr_number';
const NOWHERE = 'http://127.0.0.1:9/';
let stack: TestFleet;
let folder: string;
const run = (...args: string[]) => orderfleet(['shipments', 'import', ...args], stack.env);

beforeAll(async () => {
  stack = await startTestFleet('postgres', { eu: NOWHERE, us: NOWHERE, global: NOWHERE });
  folder = await mkdtemp(path.join(os.tmpdir(), 'orderfleet-import-'));
});
afterAll(async () => {
  await stack.close();
  await rm(folder, { recursive: true, force: true });
});

test('O6: shipments import says what came in, what was known, and what was refused', async () => {
  const file = path.join(folder, 'parcels.csv');
  const refused = path.join(folder, 'refused.csv');
  const wrong = Array.from({ length: 25 }, (_, n) => `shopify,2${n},"Delhi, very",2026-04-01,,`);
  await writeFile(
    file,
    [`${HEADER},buyer`, 'shopify,1,Delhivery,2026-04-01,A1,,x', ...wrong.map((line) => `${line},x`)].join(
      '\n',
    ),
  );
  const text = await run(file, '--refused', refused);
  expect(text.code).toBe(1); // lines were refused
  expect(text.stdout).toMatch(/^ line +reason\n 3 +it has neither an awb_number nor an lr_number\n/);
  expect(text.stdout).toMatch(
    /\n 22 .*\nAll refused lines, to be fixed and imported again: .*refused\.csv\n/,
  );
  expect(text.stdout).toContain(
    'Columns ignored: buyer\n26 lines: 1 new, 0 already known, 25 refused; 1 order created\n',
  );
  expect(text.stdout).toContain('1 is not tracked. To see why: orderfleet explain AWB');
  const written = await readFile(refused, 'utf8');
  expect(written.split('\n')).toHaveLength(27);
  expect(written).toContain(
    '\n3,it has neither an awb_number nor an lr_number,shopify,20,"Delhi, very",2026-04-01,,,,,\n',
  );

  // mended, that file can be imported itself
  await writeFile(
    refused,
    written.replaceAll(/2026-04-01,,/g, () => `2026-04-01,M${Math.random()},`),
  );
  const mended = await run(refused, '--json');
  expect(mended.code).toBe(0);
  expect(JSON.parse(mended.stdout)).toMatchObject({
    ...{ format: 'csv', lines: 25, imported: 25, known: 0, orders: 25, refused: 0, refusedLines: [] },
    ignored: ['line', 'reason'],
  });
  const again = await run(file, '--json');
  expect(again.code).toBe(1);
  const data = JSON.parse(again.stdout);
  expect(data).toMatchObject({ imported: 0, known: 1, refused: 25 });
  expect(data.refusedLines).toHaveLength(25);
});

test('O6: a file that is none ends with 2 and a line that says what to do', async () => {
  const binary = path.join(folder, 'parcels.xlsx');
  await writeFile(binary, Buffer.from('PK\u0003\u0004and so on'));
  const own = path.join(folder, 'own.csv');
  await writeFile(own, `${HEADER}\nshopify,1,Delhivery,2026-04-01,,\n`);
  const sameFile = await run(own, '--refused', path.join(folder, '..', path.basename(folder), 'own.csv'));
  expect(sameFile).toMatchObject({
    code: 2,
    output: expect.stringMatching(/own\.csv is the file being imported: choose another one for --refused\n$/),
  });
  expect(await readFile(own, 'utf8')).toContain('shopify,1'); // and it still holds its lines
  const dates = path.join(folder, 'dates.csv');
  await writeFile(dates, `${HEADER}\nshopify,1,Delhivery,03/02/2026,D1,\n`);
  const [workbook, missing, directory, zone, unclear, wrongOrder, said] = await Promise.all([
    run(binary),
    run(path.join(folder, 'none.csv')),
    run(folder),
    run(binary, '--zone', 'Bucharest'),
    run(dates),
    run(dates, '--dates', 'day'),
    run(dates, '--dates', 'dmy', '--zone', 'Europe/Bucharest', '--json'),
  ]);
  expect(unclear).toMatchObject({
    code: 2,
    output: expect.stringMatching(/ line 2 \(03\/02\/2026\) could .*\. Use --dates dmy or --dates mdy\.\n$/),
  });
  expect(wrongOrder).toMatchObject({ code: 2, output: expect.stringContaining('dmy, mdy, ymd') });
  expect(JSON.parse(said.stdout)).toMatchObject({ imported: 1, refused: 0 });
  expect(workbook).toMatchObject({
    code: 2,
    output: 'The file is a zip file or an Excel workbook: save the sheet as "CSV UTF-8".\n',
  });
  expect(missing).toMatchObject({ code: 2, output: expect.stringMatching(/^File not found: /) });
  expect(directory).toMatchObject({ code: 2, output: expect.stringMatching(/ is a directory\n$/) });
  expect(zone).toMatchObject({
    code: 2,
    output: expect.stringContaining(
      'expected an IANA name like Europe/Bucharest, an offset like +05:30, or Z.',
    ),
  });
});

test('O6: standard input, NDJSON in pieces', async () => {
  const child = spawn(
    process.execPath,
    [...programOf('src/cli/main.ts'), 'shipments', 'import', '-', '--json'],
    {
      cwd: import.meta.dirname,
      env: { PATH: process.env.PATH, ...stack.env },
      stdio: ['pipe', 'pipe', 'inherit'],
    },
  );
  const line = (n: number) =>
    `{"source":"other","order_number":"N${n}","courier":"Velocity","booked_at":"2026-04-01","awb":"N${n}"}`;
  child.stdin.write(`${line(1)}\n${line(2).slice(0, 30)}`);
  child.stdin.end(`${line(2).slice(30)}\n${line(2)}`);
  let stdout = '';
  for await (const chunk of child.stdout) stdout += chunk;
  expect(JSON.parse(stdout)).toMatchObject({
    file: '-',
    format: 'ndjson',
    imported: 2,
    known: 1,
    refused: 0,
  });
});

/** Told to a process by --import: it ends with a line that says what memory it took at most. */
const TELLS_MEMORY = `data:text/javascript,${encodeURIComponent(
  "process.on('exit', () => console.error('took', process.resourceUsage().maxRSS, 'kB'))",
)}`;

/** Imports a file of so many lines. @returns what its process took at most, megabytes */
async function importing(lines: number): Promise<{ imported: number; peakMb: number }> {
  const file = path.join(folder, `${lines}.csv`);
  const out = createWriteStream(file);
  out.write(`${HEADER},remark\n`);
  const more = `,,${'a remark '.repeat(100)}\n`;
  for (let n = 0; n < lines; n++)
    if (!out.write(`shopify,${lines}-${n},Delhivery Surface,2026-04-01T10:00:00Z,W${lines}-${n}${more}`))
      await once(out, 'drain');
  out.end();
  await once(out, 'close');
  const importer = startOrderfleet(['shipments', 'import', file, '--json'], {
    ...stack.env,
    // what is no longer used is collected soon
    NODE_OPTIONS: `--max-old-space-size=80 --import=${TELLS_MEMORY}`,
  });
  expect(await importer.exited).toMatchObject({ code: 0 });
  const { imported } = JSON.parse(importer.stdout());
  return { imported, peakMb: Number(/took (\d+) kB/.exec(importer.output())?.[1]) / 1024 };
}

test('O6: a file of ten times as many lines takes no more memory', async () => {
  const few = await importing(2_500);
  const many = await importing(25_000);
  expect([few.imported, many.imported]).toEqual([2_500, 25_000]);
  // the lines of the larger one alone are 23 MB, without what is made of them
  expect(many.peakMb - few.peakMb).toBeLessThan(15);
});
