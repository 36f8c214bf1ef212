import { appendFile, mkdtemp, readFile, rm } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import postgres from 'postgres';
import { describe, expect, it, onTestFinished, vi } from 'vitest';
import { type ParcelEvent, type ShippingAppOptions, startShippingApp } from '../../sandbox/shipping-app.ts';
import { awbCreatedEvent } from '../../src/client/index.ts';
import { createTestDatabase } from '../support/database.ts';

async function database() {
  const { url, drop } = await createTestDatabase();
  onTestFinished(drop);
  const sql = postgres(url, { max: 1, onnotice: () => undefined });
  onTestFinished(() => sql.end());
  const order = async (number: string, change: { source?: string; status?: string; days?: number } = {}) => {
    const { source = 'temu', status = 'Ready for Shipping', days = 1 } = change;
    const [row] = await sql<[{ id: string }]>`
      insert into orders (source, marketplace_order_id, status, ship_by_date)
      values (${source}, ${number}, ${status}, now() + ${days} * interval '1 day') returning id`;
    return row.id;
  };
  return { url, order };
}

/** The app, with what it told. It ends with the test. */
function app(options: Omit<ShippingAppOptions, 'send'> & Partial<Pick<ShippingAppOptions, 'send'>>) {
  const told: ParcelEvent[] = [];
  const running = startShippingApp({ everyMs: 10, send: (event) => void told.push(event), ...options });
  onTestFinished(() => running.stop());
  return { ...running, told };
}

async function stateFile(): Promise<string> {
  const folder = await mkdtemp(path.join(os.tmpdir(), 'shipping-app-'));
  onTestFinished(() => rm(folder, { recursive: true, force: true }));
  return path.join(folder, 'parcels');
}

const settled = (turns = 8) => new Promise((resolve) => setTimeout(resolve, turns * 10 + 50));

describe('the shipping app', () => {
  it('makes a parcel for each order that is ready, nearest deadline first', async () => {
    const { url, order } = await database();
    const later = await order('PO-1', { days: 3 });
    const soon = await order('PO-2', { days: 1 });
    await order('PO-3', { status: 'Pending' });
    await order('PO-4', { source: 'ebay' });
    const { told, created } = app({ databaseUrl: url, perTurn: 1 });
    await expect.poll(() => told.length).toBe(2);
    await settled();
    expect(told.map(({ orderId }) => orderId)).toEqual([soon, later]);
    expect(created()).toEqual(told);
    for (const event of told) {
      expect(awbCreatedEvent.parse(event)).toEqual(event);
      expect(event).toMatchObject({ v: 1, bookingCourier: event.carrier });
      expect(event.awbNumber).toMatch(/^[A-Z0-9]{10,18}$/);
    }
  });

  it('gives every parcel a number of its own, mostly of FAN Courier', async () => {
    const { url, order } = await database();
    // so many that each carrier occurs, however the orders' ids fall: gls in 7 of a hundred
    const count = 300;
    await Promise.all(Array.from({ length: count }, (_, i) => order(`PO-${i}`)));
    const { told } = app({ databaseUrl: url, perTurn: 100 });
    await expect.poll(() => told.length).toBe(count);
    expect(new Set(told.map(({ awbNumber }) => awbNumber)).size).toBe(count);
    const carriers = new Set(told.map(({ carrier }) => carrier));
    expect([...carriers].sort()).toEqual(['dhl', 'fancourier', 'gls', 'sameday']);
    expect(told.filter(({ carrier }) => carrier === 'fancourier').length).toBeGreaterThan(count / 2);
  });

  it('remembers its parcels over a restart, one that nobody took too, and a torn line', async () => {
    const { url, order } = await database();
    const file = await stateFile();
    vi.spyOn(console, 'error').mockImplementation(() => undefined);
    onTestFinished(() => void vi.restoreAllMocks());
    await order('PO-1');
    await order('PO-2');
    const deaf = app({
      databaseUrl: url,
      stateFile: file,
      send: () => Promise.reject(new Error('the queue is down')),
    });
    await expect.poll(() => deaf.created().length).toBe(2);
    await deaf.stop();
    await appendFile(file, '{"created":{"v":1,"orde');

    const second = app({ databaseUrl: url, stateFile: file });
    await expect.poll(() => second.told.length).toBe(2);
    await settled();
    const byNumber = (a: ParcelEvent, b: ParcelEvent) => (a.awbNumber < b.awbNumber ? -1 : 1);
    expect([...second.told].sort(byNumber)).toEqual(deaf.created().sort(byNumber));
    await second.stop();

    await order('PO-3');
    const third = app({ databaseUrl: url, stateFile: file });
    await expect.poll(() => third.told.length).toBe(1);
    await settled();
    expect(third.told).toHaveLength(1);
    expect(third.created()).toHaveLength(3);
    expect(await readFile(file, 'utf8')).toContain('"sent"');
  });

  it('goes on when an event is refused once', async () => {
    const { url, order } = await database();
    vi.spyOn(console, 'error').mockImplementation(() => undefined);
    onTestFinished(() => void vi.restoreAllMocks());
    for (let i = 0; i < 3; i++) await order(`PO-${i}`);
    const told: string[] = [];
    let calls = 0;
    app({
      databaseUrl: url,
      send: ({ awbNumber }) => {
        if (calls++ === 0) throw new Error('once');
        told.push(awbNumber);
      },
    });
    await expect.poll(() => told.length).toBe(3);
    await settled();
    expect(new Set(told).size).toBe(3);
    expect(told).toHaveLength(3);
  });
});
