import { afterAll, beforeAll, expect, test, vi } from 'vitest';
import { utc } from '../../src/lib/format-time.ts';
import { couriers } from '../../src/tracking/registry.ts';
import { reapProcesses, startProcess } from '../support/process.ts';
import { startTrackingStand, type TrackingStand } from '../support/tracking.ts';
import { until } from '../support/until.ts';
import { orderfleet, STARTED, startOrderfleet } from './orderfleet.ts';

// every command is a process of its own: a second each, more where others share the machine
vi.setConfig({ testTimeout: 90_000 });
const DAY = 86_400_000;
let stand: TrackingStand;
let env: Record<string, string>;
const run = (...args: string[]) => orderfleet(args, env);
async function json<T>(...args: string[]): Promise<{ code: number | null; data: T }> {
  const { code, stdout, output } = await run(...args, '--json');
  try {
    return { code, data: JSON.parse(stdout) as T };
  } catch {
    throw new Error(`${args.join(' ')} printed no JSON:\n${output}`);
  }
}
const sql = () => stand.stack.sql;

beforeAll(async () => {
  stand = await startTrackingStand('postgres', {}, { TRACKERS: 'delhivery-b2c,velocity,delhivery-fallback' });
  env = stand.stack.env;
  await startProcess('workers/tracking.ts', { env }).waitForLine(/"msg":"started"/, STARTED);
});
afterAll(async () => {
  await reapProcesses();
  await stand?.close();
});

interface TrackData {
  tracker: string;
  started: boolean;
  skipped: string | null;
  run: { planned: number; asked: number; updated: number; failed: number; state: string } | null;
}

test('O6: track waits for every parcel and ends 0; explain tells each change; status the whole', async () => {
  const { parcels } = stand.sandbox.couriers;
  const many = parcels.addMany({
    ...{ api: 'velocity', count: 100, seed: 3, days: 5, mix: { delivered: 1 } },
  });
  await stand.book(many);
  const tracked = await run('track', 'velocity', '--wait');
  expect(tracked.code).toBe(0);
  expect(tracked.stdout).toMatch(
    /^velocity: 100 of 100 parcels, \d+ updated, \d+ unchanged, 0 not found, 0 failed, 3 requests, in \d+ s\nFinished\.\n$/,
  );

  const delivered = many.find(({ number }) => parcels.truth(number).status === 'delivered');
  const number = delivered?.number ?? '';
  const [byAwb, byOrder, data] = await Promise.all([
    run('explain', number),
    run('explain', delivered?.reference ?? ''),
    json<{ tracking: unknown[]; orders: unknown[] }>('explain', number),
  ]);
  expect(byAwb.stdout).toMatch(
    new RegExp(
      `^Tracking of AWB ${number} {2}order ${delivered?.reference} from Outbound {2}delivered\nTracking finished: delivered\\.\n`,
    ),
  );
  expect(byAwb.stdout).toMatch(
    / time +status +raw status +received\n 20\S+ \S+ UTC +delivered +\S+ +20\S+ \S+ UTC\n$/,
  );
  const ageless = (text: string) => text.replaceAll(/\d+ (s|min) ago/g, 'ago');
  expect(ageless(byOrder.stdout)).toBe(ageless(byAwb.stdout));
  expect(data.data.tracking).toMatchObject([
    {
      awbNumber: number,
      tracker: null,
      status: 'delivered',
      events: [{ status: 'delivered' }],
      siblings: [],
    },
  ]);

  const [status, statusJson] = await Promise.all([
    run('status'),
    json<{ tracking: { trackers: { name: string }[] } }>('status'),
  ]);
  expect(status.stdout).toMatch(
    /\n velocity +on +\d+ +0 +\d+ s ago +\d+ s ago, \d+ s +100 of 100: \d+ updated +in \d+ min\n/,
  );
  expect(status.stdout).toMatch(/\nshiprocket is off: not in TRACKERS\n/);
  expect(status.stdout).toMatch(/\nStatus changes, last 24 h {2}.*delivered \d+\n/);
  expect(status.stdout).toMatch(/\n tracking-velocity +0 +0 +0 +0\n/);
  expect(statusJson.data.tracking).toMatchObject({
    trackers: expect.arrayContaining([
      expect.objectContaining({
        name: 'velocity',
        on: true,
        lastRun: expect.objectContaining({ planned: 100 }),
      }),
      expect.objectContaining({ name: 'shiprocket', on: false, off: 'not in TRACKERS', nextRunAt: null }),
    ]),
    parcels: { changes: { delivered: expect.any(Number) } },
  });
});

test('O6: track of what does not exist, and of what is off, says what to do', async () => {
  const [unknown, off, notSetUp] = await Promise.all([
    run('track', 'delhivery'),
    run('track', 'shiprocket'),
    orderfleet(['track', 'all'], { ...env, TRACKERS: 'none' }),
  ]);
  expect(unknown).toMatchObject({
    code: 2,
    output: `There is no tracker "delhivery". Available: ${couriers.map(({ name }) => name).join(', ')}.\n`,
  });
  expect(off).toMatchObject({
    code: 1,
    stdout:
      'shiprocket was not started: not in TRACKERS.\n  Add it to TRACKERS, and restart the scheduler and the workers.\n',
  });
  expect(notSetUp).toMatchObject({
    code: 2,
    output: expect.stringMatching(/^No tracker is enabled: .*delhivery-b2b \(/),
  });
});

test('C10: while the courier makes us wait no run begins, and status and explain say until when', async () => {
  const until = new Date(Date.now() + 600_000);
  await sql()`
    update trackers set waiting_until = ${until}, waiting_reason = 'HTTP 429' where name = 'delhivery-fallback'`;
  const { number } = await stand.parcel('delhivery-fallback', { bookedAt: stand.now() - 3 * DAY });
  const [tracked, status, explained] = [
    await run('track', 'delhivery-fallback', '--wait'),
    await run('status'),
    await run('explain', number),
  ];
  expect(tracked.code).toBe(1);
  expect(tracked.stdout).toContain(
    `delhivery-fallback was not started: rate-limit cooldown until ${utc(until)} (HTTP 429).\n`,
  );
  expect(status.stdout).toContain(`delhivery-fallback is paused until ${utc(until)} (in 10 min): HTTP 429\n`);
  expect(explained.stdout).toContain(`Rate-limit cooldown until ${utc(until)} (HTTP 429).\n`);
  await sql()`update trackers set waiting_until = null where name = 'delhivery-fallback'`;
});

test('C3: a run that goes on is followed; parcels that fail make it end with 1', async () => {
  const parcel = await stand.parcel('delhivery-b2c', { bookedAt: stand.now() - 2 * DAY });
  await sql()`update shipments set awb_number = 'a,b' where awb_number = ${parcel.number}`;
  const [tracker] = stand.stack.fleet.trackers.filter(({ name }) => name === 'delhivery-b2c');
  // nobody works on it until it is offered
  const [going] = await sql()<{ id: string }[]>`
    with made as (insert into tracking_runs (tracker, planned) values (${tracker?.name ?? ''}, 1) returning id)
    insert into tracking_batches (run_id, no, shipment_ids, due_at)
    select made.id, 0, array[s.id], now() + interval '1 minute' from made, shipments s where awb_number = 'a,b'
    returning run_id as id`;
  const short = await run('track', 'delhivery-b2c');
  expect(short).toMatchObject({
    code: 0,
    stdout: expect.stringMatching(
      /^delhivery-b2c: already running, started \d+ s ago; use --wait to follow it\.\n$/,
    ),
  });
  const following = startOrderfleet(['track', 'delhivery-b2c', '--wait'], env);
  await following.waitForLine(/^delhivery-b2c: already running .*; following that run\./, STARTED);
  await sql()`update tracking_batches set due_at = now() where run_id = ${going?.id ?? ''}`;
  await stand.tick();
  expect(await following.exited).toMatchObject({ code: 1 });
  expect(following.stdout()).toMatch(
    / 1 failed, .*\n parcels +failure\n 1 +invalid tracking number\nFinished with problems: orderfleet status\n$/,
  );
  await sql()`update shipments set being_tracked = false where awb_number = 'a,b'`;
});

test('C11: a tracker that is stopped in its run ends track with 1 and the reason', async () => {
  await stand.parcel('delhivery-b2c', { bookedAt: stand.now() - 2 * DAY });
  stand.sandbox.couriers.api['delhivery-b2c'].settings.key = 'another';
  const { code, data } = await json<(TrackData & { run: { stoppedReason: string } })[]>(
    'track',
    'delhivery-b2c',
    '--wait',
  );
  expect(code).toBe(1);
  expect(data).toMatchObject([
    {
      tracker: 'delhivery-b2c',
      started: true,
      run: { failed: 1, stoppedReason: expect.stringMatching(/./) },
    },
  ]);
  const status = await run('status');
  expect(status.stdout).toMatch(/\n delhivery-b2c +stopped /);
  expect(status.stdout).toMatch(/\ndelhivery-b2c is stopped since \d+ s ago: ./);
});

test('C6: a word is listed, settled, and replayed over the parcels that show it', async () => {
  const { parcels } = stand.sandbox.couriers;
  const three = await Promise.all(
    [1, 2, 3].map(() => stand.parcel('velocity', { bookedAt: stand.now() - 2 * DAY })),
  );
  for (const { number } of three) parcels.setWord(number, { status: 'Out for drone' }, 'velocity');
  expect(await run('track', 'velocity', '--wait')).toMatchObject({
    code: 0,
    stdout: expect.stringMatching(/3 with an unmapped status.*\n(.*\n)* 3 +OUT_FOR_DRONE\nFinished\.\n$/),
  });
  const [list, explained, status] = await Promise.all([
    run('words'),
    run('explain', three[0]?.number ?? ''),
    run('status'),
  ]);
  expect(list.stdout).toMatch(/\n velocity +OUT_FOR_DRONE +3 +3 +\d+ s ago +\d+ s ago +unmapped +\S+ · /);
  expect(explained.stdout).toContain(
    'keeps its previous status until you map it: orderfleet words map velocity "OUT_FOR_DRONE" STATUS',
  );
  expect(status.stdout).toContain('1 unmapped courier status: orderfleet words\n');
  expect(status.stdout).toContain('Velocity returned the unmapped status "OUT_FOR_DRONE"');

  const wrong = await Promise.all([
    run('words', 'map', 'velocity', 'OUT_FOR_DRONE', 'flying'),
    run('words', 'map', 'velocity', 'OUT', 'ndr'),
    run('words', 'map', 'velo', 'OUT_FOR_DRONE', 'ndr'),
    run('words', 'unmap', 'velocity', 'OUT_FOR_DRONE'),
  ]);
  expect(wrong.map(({ code, output }) => [code, output])).toEqual([
    [2, expect.stringMatching(/^"flying" is not a status\. Expected one of: pending, .*, unchanged\.\n/)],
    [2, 'velocity has not returned the status "OUT". Unmapped: "OUT_FOR_DRONE".\n'],
    [2, expect.stringMatching(/^There is no tracker "velo"\./)],
    [2, '"OUT_FOR_DRONE" of velocity is not mapped.\n'],
  ]);

  const mapped = await run('words', 'map', 'Velocity', 'out for drone', 'out-for-delivery');
  expect(mapped).toMatchObject({
    code: 0,
    stdout: '"OUT_FOR_DRONE" of velocity is now mapped to out_for_delivery.\nApplied to 3 parcels.\n',
  });
  for (const { number } of three)
    expect(await stand.shipment(number)).toMatchObject({ status: 'out_for_delivery', unmapped_word: null });
  expect((await run('status')).stdout).not.toContain('OUT_FOR_DRONE');
  const back = await json('words', 'unmap', 'velocity', 'OUT_FOR_DRONE');
  expect(back).toMatchObject({ code: 0, data: { means: null, before: 'out_for_delivery' } });
  expect((await json('words')).data).toMatchObject([{ word: 'OUT_FOR_DRONE', means: null, showing: 0 }]);
});

test('O6: track says so when no worker takes the jobs of a tracker', async () => {
  await reapProcesses();
  const awb = await stand.parcel('delhivery-fallback', { bookedAt: stand.now() - 2 * DAY });
  await until(
    async () => (await stand.stack.fleet.queues.workers({ name: 'tracking-delhivery-fallback' })) === 0,
    {
      timeoutMs: 60_000,
    },
  );
  const tracked = await run('track', 'delhivery-fallback');
  expect(tracked).toMatchObject({ code: 0 });
  expect(tracked.output).toContain('No worker is running for tracking-delhivery-fallback: start one with ');
  expect(tracked.stdout).toMatch(/^delhivery-fallback: started a run of \d+ parcels?\. /m);
  expect(awb.number).not.toBe('');
});
