import { readFile } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { SandboxOrder } from '../../sandbox/temu/model.ts';
import { startProcess } from '../support/process.ts';
import type { TcpProxy } from '../support/proxy.ts';
import type { Backend } from '../support/redis.ts';
import { until } from '../support/until.ts';
import { build, type House, TOKEN } from './house.ts';

/** Seconds that each outage lasts; the acceptance runs it with HOLD=60. */
const HOLD_S = Number(process.env.HOLD ?? 5);
/** Whatever was refused goes on within this after its end. */
const RECOVERY_MS = 60_000;
/** Lines that one process may write meanwhile. */
const MOST_LINES = 100;
/** Of a core, of one process, while its store refuses: spinning took 0.4 to 0.65. Starting anew is a part of a short outage. */
const MOST_CPU = HOLD_S >= 30 ? 0.05 : 0.33;

export interface Outage {
  name: string;
  /** Begins it, and ends it. */
  set(house: House, on: boolean): unknown;
  /** Work that was claimed by a statement whose answer was swallowed is found by its lease: that claim is an attempt. */
  attempts?: number;
  /** Before anybody can ask, the store at the same address is well again. */
  endsAtOnce?: boolean;
}

const silenced = (proxy: TcpProxy | undefined, on: boolean) =>
  on ? proxy?.silence({ later: true }) : proxy?.heal();

export const POSTGRES_REFUSES: readonly Outage[] = [
  { name: 'read-only (25006)', set: ({ postgres }, on) => postgres.readOnly(on) },
  { name: 'permission denied (42501)', set: ({ postgres }, on) => postgres.permission(!on) },
  { name: 'login refused (28000)', set: ({ postgres }, on) => postgres.login(!on) },
];

export const POSTGRES_AWAY: readonly Outage[] = [
  { name: 'statement time-outs (57014)', set: ({ postgres }, on) => postgres.statementTimeout(on) },
  { name: 'no connections left (53300)', set: ({ postgres }, on) => postgres.connections(!on) },
  { name: 'connections gone silent', set: ({ postgres }, on) => silenced(postgres.proxy, on), attempts: 2 },
];

export const REDIS_REFUSES: readonly Outage[] = [
  {
    name: 'out of memory (OOM)',
    set: ({ redis }, on) => redis?.admin.config('SET', 'maxmemory', on ? '1' : '0'),
  },
  { name: 'snapshots fail (MISCONF)', set: ({ redis }, on) => redis?.misconfigured(on) },
  {
    name: 'replicas missing (NOREPLICAS)',
    set: ({ redis }, on) => redis?.admin.config('SET', 'min-replicas-to-write', on ? '1' : '0'),
  },
  {
    name: 'a replica (READONLY)',
    set: ({ redis }, on) =>
      on ? redis?.admin.replicaof('127.0.0.1', '1') : redis?.admin.replicaof('NO', 'ONE'),
  },
  {
    name: 'rights withdrawn (NOPERM)',
    set: ({ redis }, on) =>
      redis?.admin.acl('SETUSER', 'default', ...(on ? ['-@write', '-eval', '-evalsha'] : ['+@all'])),
  },
];

export const REDIS_AWAY: readonly Outage[] = [
  {
    name: 'failover behind one address',
    set: ({ redis }, on) => (on ? redis?.failOver() : undefined),
    endsAtOnce: true,
  },
  { name: 'connections gone silent', set: ({ redis }, on) => silenced(redis?.proxy, on) },
];

/** Events that the shipping app sends meanwhile, at so many a second. */
const EVENTS = 40;
const RATE = EVENTS / HOLD_S;
const STATUS_SAYS = /✗ (Postgres|Redis)|^(Postgres|The user of DATABASE_URL)/m;
const DOCTOR_SAYS = /[✗?] (Postgres|Redis)/;
const PARCELS = 20;
const NEW_ORDERS = 3;

/** Declares a test of each outage over one fleet, which goes on through all of them. */
export function outages(backend: Backend, cases: readonly Outage[]): void {
  let house: House;
  /** All orders at Temu; and those that are stored here and have no AWB yet. */
  const orders: SandboxOrder[] = [];
  let free: SandboxOrder[] = [];
  /** AWBs that were accepted so far. */
  const told: string[] = [];
  /** A producer that was refused sends the same event again: what it was told was not kept may have been, all the same. */
  const numberOf = (order: SandboxOrder) => `OUT${100_000 + orders.indexOf(order)}`;

  beforeAll(async () => {
    house = await build(backend);
    orders.push(...house.order(cases.length * (EVENTS + 5)));
    free = [...orders];
    await house.sync();
    await settled();
  }, 180_000);
  afterAll(() => house?.close());

  /** Every order is stored, every AWB told, every parcel asked for. */
  const settled = () =>
    until(
      async () => {
        const [left] = await house.sql`
          select ${orders.length} - (select count(*)::int from orders where source = 'temu') as orders,
            (select count(*)::int from temu_order_inbox where state <> 'stored') as inbox,
            (select count(*)::int from temu_sync_windows where state = 'open') as windows,
            (select count(*)::int from awb_events where state <> 'recorded') as events,
            (select count(*)::int from unnest(${told}::text[]) as n (awb) where not exists (
              select from temu_pushes p join shipments s on s.id = p.shipment_id where s.awb_number = awb)) as awbs,
            (select count(*)::int from temu_pushes where state <> 'sent') as pushes,
            (select count(*)::int from shipments where last_tracked_at is null and tracked_by is not null) as parcels`;
        const open = Object.entries(left ?? {}).filter(([, count]) => count !== 0);
        if (open.length > 0) throw new Error(JSON.stringify(Object.fromEntries(open)));
        return true;
      },
      { timeoutMs: RECOVERY_MS, what: 'the fleet to settle' },
    );

  /** The shipping app tells of an AWB. @returns its number when it was accepted; otherwise it is to be sent again */
  async function send(order: SandboxOrder): Promise<string | undefined> {
    const awbNumber = numberOf(order);
    const response = await fetch(`${house.web}/events/awb-created`, {
      method: 'POST',
      headers: { authorization: `Bearer ${TOKEN}`, 'content-type': 'application/json' },
      body: JSON.stringify({
        source: 'temu',
        marketplaceOrderId: order.parentOrderSn,
        awbNumber,
        carrier: 'sameday',
      }),
    });
    await response.arrayBuffer();
    if (response.status === 202) {
      told.push(awbNumber);
      return awbNumber;
    }
    // never 500, and never a 202 for what is not kept
    expect([response.status, Number(response.headers.get('retry-after')) > 0]).toEqual([503, true]);
    return undefined;
  }

  async function sendFor(ms: number, accepted: string[]): Promise<void> {
    const sends: Promise<unknown>[] = [];
    for (const until = Date.now() + ms; Date.now() < until; await sleep(1_000 / RATE)) {
      const order = free.pop();
      if (!order) break;
      sends.push(send(order).then((awb) => (awb ? accepted.push(awb) : free.unshift(order))));
    }
    await Promise.all(sends);
  }

  /** A command that says what is wrong, in words and without a stack, and does not end well. */
  async function says(command: string, what: RegExp): Promise<void> {
    const process = startProcess('src/cli/main.ts', { args: [command], env: house.env });
    expect((await process.exited).code, process.output()).toBeGreaterThan(0);
    expect(process.output()).toMatch(what);
    expect(process.output()).not.toMatch(/^\s+at .*\.[jt]s:\d+/m);
  }

  const readiness = async () => {
    const response = await fetch(`${house.web}/readyz`);
    await response.arrayBuffer();
    return response.status;
  };

  test.each(cases.map((outage) => [outage.name, outage] as const))(
    'R2, R10, A2: %s: each accepted AWB is sent to Temu once, no attempt is spent, the log is not flooded',
    async (_, outage) => {
      const { sql, sandbox, processes } = house;
      const accepted: string[] = [];
      const parcels = await house.book(PARCELS);
      const fresh = house.order(NEW_ORDERS);
      orders.push(...fresh);
      await house.sync();
      const sending = sendFor(HOLD_S * 1000, accepted);
      await until(() => accepted.length >= 2); // some are in work when it begins
      const printed = new Map([...processes].map(([name, process]) => [name, process.output().length]));
      await outage.set(house, true);
      const cpu = await cpuOf(house);
      let spent = cpu;
      try {
        const looks = outage.endsAtOnce ? [] : [says('status', STATUS_SAYS), says('doctor', DOCTOR_SAYS)];
        looks.map((look) => look.catch(() => {})); // heard below
        if (!outage.endsAtOnce) await until(async () => (await readiness()) !== 200);
        await sending;
        spent = await cpuOf(house);
        await Promise.all(looks);
      } finally {
        await outage.set(house, false);
      }
      const endedAt = Date.now();

      await settled();
      const recoveredMs = Date.now() - endedAt;
      await until(async () => (await readiness()) === 200);
      expect(accepted.length).toBeGreaterThanOrEqual(2);
      for (const awb of accepted)
        expect([awb, sandbox.effects.told(awb)]).toEqual([awb, { arrived: 1, accepted: 1 }]);
      expect(sandbox.effects.summary()).toMatchObject({
        numbersAcceptedAgain: [],
        ordersWithSeveralNumbers: [],
        refused: {},
      });
      expect(await house.wrong(fresh)).toEqual([]);
      const numbersOfParcels = parcels.map(({ number }) => number);
      expect(
        await sql`select awb_number from shipments where awb_number = any(${numbersOfParcels}) and last_tracked_at is not null`,
      ).toHaveLength(PARCELS);

      const most = outage.attempts ?? 1;
      const overspent = await sql`
        select 'push' as what, s.awb_number as name, p.attempts from temu_pushes p join shipments s on s.id = p.shipment_id
          where s.awb_number = any(${accepted}) and p.attempts > ${most}
        union all
        select 'order', parent_order_sn, attempts from temu_order_inbox where attempts > ${most}
        union all
        select 'batch', shipment_ids::text, attempts from tracking_batches where attempts > ${most}`;
      expect(overspent).toEqual([]);
      expect(await failedJobs(house)).toEqual({});

      const figures: Record<string, unknown> = {};
      for (const [name, process] of processes) {
        const lines = process
          .output()
          .slice(printed.get(name))
          .split('\n')
          .filter((line) => /"level":[45]0/.test(line));
        const share = ((spent.get(name) ?? 0) - (cpu.get(name) ?? 0)) / HOLD_S;
        figures[name] = `${lines.length} lines, ${(100 * share).toFixed(1)} % of a core`;
        expect(lines.length, `${name}: ${lines.slice(0, 5).join('\n')}`).toBeLessThan(MOST_LINES);
        expect(share, `${name} spins`).toBeLessThan(MOST_CPU);
      }
      console.log(
        `${backend}, ${outage.name}, ${HOLD_S} s: ${accepted.length} accepted, well again after ${(recoveredMs / 1000).toFixed(1)} s`,
        figures,
      );
    },
    (HOLD_S + 120) * 1000,
  );
}

/** Seconds that each process has computed so far (Linux: proc(5), utime and stime in hundredths). */
async function cpuOf({ processes }: House): Promise<Map<string, number>> {
  const seconds = new Map<string, number>();
  for (const [name, { pid }] of processes) {
    const stat = await readFile(`/proc/${pid}/stat`, 'utf8').catch(() => '');
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
    seconds.set(name, (Number(fields[11] ?? 0) + Number(fields[12] ?? 0)) / 100);
  }
  return seconds;
}

/** Failed jobs by their queue. */
async function failedJobs({ queues }: House): Promise<Record<string, string[]>> {
  const found: Record<string, string[]> = {};
  for (const name of [
    'awb-created',
    'awb-push',
    'temu-pages',
    'temu-orders',
    'tracking-delhivery-b2c',
    'maintenance',
  ]) {
    const failed = await queues.raw(name).getJobs(['failed']);
    if (failed.length > 0) found[name] = failed.map(({ failedReason }) => failedReason);
  }
  return found;
}
