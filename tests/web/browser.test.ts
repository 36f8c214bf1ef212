import path from 'node:path';
import type { Browser, BrowserContextOptions, Page } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import { FailureError } from '../../src/lib/errors.ts';
import { handle } from '../../src/queue/handle.ts';
import { runWorkers } from '../../src/queue/run.ts';
import { awbPush } from '../../src/temu/awb/index.ts';
import { addStore } from '../../src/temu/stores.ts';
import { findChromium, startChromium } from '../support/chromium.ts';
import { startTestFleet, type TestFleet } from '../support/fleet.ts';
import { reapProcesses, startProcess } from '../support/process.ts';
import { oneBackend } from '../support/redis.ts';
import { until } from '../support/until.ts';

const NOWHERE = { eu: 'http://127.0.0.1:9/', us: 'http://127.0.0.1:9/', global: 'http://127.0.0.1:9/' };
const OPS = { user: 'ops', password: 'correct-horse' };
const GUEST = { user: 'guest', password: 'battery-staple' };
const ORDER = 'PO-211-20063653668472890';
const BUYER = 'Ana Popescu';

/** A page of Bull Board is a megabyte of script, which a busy machine takes its time for. */
const PATIENCE_MS = 30_000;
vi.setConfig({ testTimeout: 3 * PATIENCE_MS });

/** Bull Board's buttons have pictures and no names. */
const RETRY = 'button:has(svg.lucide-refresh-cw)';

const chromium = await findChromium();
if (!chromium)
  console.log('no Chromium found: the dashboard is NOT looked at in a browser (apt install chromium)');

describe.skipIf(!chromium).each(oneBackend())('O3: the dashboard in a browser, queues on %s', (backend) => {
  let stack: TestFleet;
  let browser: Browser;
  let site: string;
  /** What a page complains of, or asks of others than us. */
  const complaints: string[] = [];

  beforeAll(async () => {
    stack = await startTestFleet(backend, NOWHERE, {
      ...{ PORT: '0', DASHBOARD_USER: OPS.user, DASHBOARD_PASSWORD: OPS.password },
      ...{ DASHBOARD_READER: GUEST.user, DASHBOARD_READER_PASSWORD: GUEST.password },
    });
    await addOrderAtRisk(stack);
    await failPushes(stack, ['push-1', 'push-2']);
    const web = startProcess('workers/web.ts', { env: stack.env }); // as it is built and deployed
    const [, port] = await web.waitForLine(/"port":(\d+).*"msg":"listening"/, { timeoutMs: PATIENCE_MS });
    site = `http://127.0.0.1:${port}`;
    browser = await startChromium(String(chromium));
  });
  afterAll(async () => {
    await browser?.close();
    await reapProcesses();
    await stack?.close();
  });

  async function open(options: BrowserContextOptions = {}): Promise<Page> {
    const context = await browser.newContext({ viewport: { width: 1280, height: 900 }, ...options });
    const page = await context.newPage();
    page.setDefaultTimeout(PATIENCE_MS);
    page.on('pageerror', (error) => complaints.push(error.message));
    page.on('console', (line) => {
      // to be refused is one of the things that are tried here
      if (line.type() === 'error' && !/status of 40[13]/.test(line.text())) complaints.push(line.text());
    });
    page.on('request', (request) => {
      if (!request.url().startsWith(site) && !request.url().startsWith('data:'))
        complaints.push(request.url());
    });
    return page;
  }
  async function logIn(page: Page, { user, password }: typeof OPS): Promise<void> {
    await page.getByLabel('User name').fill(user);
    await page.getByLabel('Password').fill(password);
    await page.getByRole('button', { name: 'Log in' }).click();
  }
  /** For people to look at, where ORDERFLEET_TEST_PICTURES names a directory. */
  async function picture(page: Page, name: string): Promise<void> {
    const dir = process.env.ORDERFLEET_TEST_PICTURES;
    if (!dir) return;
    for (const colorScheme of ['light', 'dark'] as const)
      for (const width of [1280, 390]) {
        await page.emulateMedia({ colorScheme });
        await page.setViewportSize({ width, height: 860 });
        await page.screenshot({
          path: path.join(dir, `${name}-${colorScheme}-${width}.png`),
          animations: 'disabled',
        });
      }
    await page.emulateMedia({ colorScheme: 'light' });
    await page.setViewportSize({ width: 1280, height: 900 });
  }
  const jobState = (id: string) => stack.fleet.queues.raw('awb-push').getJobState(id);

  test('a user logs in, reads an order’s timeline, retries a job and logs out', async () => {
    const page = await open();
    await page.goto(`${site}/orders?show=risk`);
    await picture(page, 'login');
    await logIn(page, { ...OPS, password: 'wrong-password' });
    await page.getByRole('alert').getByText('Wrong user name or password.').waitFor();
    await picture(page, 'login-wrong');
    await logIn(page, OPS);
    await page.waitForURL(`${site}/orders?show=risk`);

    await page.getByRole('link', { name: 'Overview' }).click();
    await page.getByRole('heading', { level: 1, name: /needs? you/ }).waitFor();
    await picture(page, 'overview');
    await page.getByRole('link', { name: ORDER }).first().click();
    await page.getByRole('heading', { level: 1, name: ORDER }).waitFor();
    await page.getByText(BUYER).waitFor();
    expect(await page.title()).not.toContain(BUYER);
    await picture(page, 'order');

    await page.getByRole('link', { name: 'Queues' }).click();
    const queue = page.getByRole('link', { name: /^awb-push/ }).first();
    await queue.waitFor();
    await picture(page, 'queues');
    await queue.click();
    await page.getByText('AWB 2800123456789 refused').first().waitFor();
    await picture(page, 'queue');
    await page.getByRole('link', { name: /push-1/ }).click();
    await page.waitForURL(/push-1/);
    await until(async () => (await page.locator(RETRY).count()) === 1, {
      what: 'the page of the one job',
      timeoutMs: PATIENCE_MS,
    });
    await picture(page, 'job');
    expect(await jobState('push-1')).toBe('failed');
    await page.locator(RETRY).click();
    await page.getByRole('button', { name: 'Confirm' }).click();
    await until(async () => (await jobState('push-1')) === 'waiting', {
      what: 'the job to wait again',
      timeoutMs: PATIENCE_MS,
    });
    expect(await jobState('push-2')).toBe('failed');

    await page.locator('header button[aria-haspopup=menu]').last().click();
    await page.getByRole('menuitem', { name: 'Overview' }).click();
    await page.waitForURL(`${site}/`);
    await page.getByRole('button', { name: 'Log out' }).click();
    await page.waitForURL(`${site}/login`);
    await page.goto(site);
    expect(new URL(page.url()).pathname).toBe('/login');
    await page.context().close();
  });

  test('a reader sees the job, no buyer, and nothing to press', async () => {
    const page = await open();
    await page.goto(`${site}/orders/${ORDER}`);
    await logIn(page, GUEST);
    await page.getByRole('heading', { level: 1, name: ORDER }).waitFor();
    expect(await page.content()).not.toContain(BUYER);
    await page.goto(`${site}/queues/queue/awb-push/push-2?status=failed`);
    await page.getByText('AWB 2800123456789 refused').first().waitFor();
    expect(await page.locator(RETRY).count()).toBe(0);
    const tried = await page.evaluate(async () => {
      const answer = await fetch('/queues/api/queues/awb-push/push-2/retry', { method: 'PUT' });
      return [answer.status, await answer.text()];
    });
    expect(tried).toEqual([403, JSON.stringify({ error: 'guest has read-only access.' })]);
    expect(await jobState('push-2')).toBe('failed');
    await page.context().close();
  });

  test('without JavaScript: login, overview and timeline all the same', async () => {
    const page = await open({ javaScriptEnabled: false });
    await page.goto(site);
    await logIn(page, OPS);
    await page.getByRole('link', { name: ORDER }).first().click();
    await page.getByRole('heading', { level: 1, name: ORDER }).waitFor();
    await page.context().close();
  });

  test('no page asked anybody else, broke a policy or threw', () => expect(complaints).toEqual([]));
});

/** An order that must ship in half an hour and has no AWB. */
async function addOrderAtRisk({ fleet, sql }: TestFleet): Promise<void> {
  const storeId = await addStore(fleet.db, fleet.secrets, {
    ...{ name: 'Casă & Grădină', region: 'EU', country: 'RO', apiVersion: 'v1' },
    ...{ appKey: 'key', appSecret: 'secret', accessToken: 'token' },
  });
  await sql`
    with placed as (
      insert into orders (source, store_id, marketplace_order_id, status, marketplace_status, order_created_at,
        order_modified_at, ship_by_date, shipping_buyer_name)
      values ('temu', ${storeId}, ${ORDER}, 'Ready for Shipping', 'UN_SHIPPING', now() - interval '1 day',
        now() - interval '1 day', now() + interval '30 minutes', ${BUYER}) returning id)
    insert into temu_orders (order_id) select id from placed`;
}

/** Jobs that fail for good. */
async function failPushes({ fleet }: TestFleet, ids: string[]): Promise<void> {
  const refusing = handle(awbPush, async () => {
    throw new FailureError({ kind: 'rejected', message: 'AWB 2800123456789 refused' });
  });
  const payload = { v: 1 as const, orderId: '0197a6f2-0000-7000-8000-000000000001' };
  await fleet.queues.add(
    awbPush,
    ids.map((id) => ({ id, payload })),
  );
  const workers = runWorkers([refusing], fleet);
  await until(async () => (await fleet.queues.counts(awbPush)).failed === ids.length);
  await workers.stop(1_000);
}
