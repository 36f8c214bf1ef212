import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { mailSettings } from '../../src/alerts/mail.ts';
import { parseConfig } from '../../src/config/index.ts';
import { type AlertStand, startAlertStand } from './harness.ts';
import { type Mailbox, startMailbox } from './mailbox.ts';

const HOUR = 3_600_000;

describe('C13: mails', () => {
  let mailbox: Mailbox;
  let stand: AlertStand;

  beforeAll(async () => {
    mailbox = await startMailbox();
    stand = await startAlertStand(
      { SMTP_URL: mailbox.url, EMAIL_RECIPIENTS: 'ops@shop.example, boss@shop.example' },
      { timings: { callMs: 500 } },
    );
  });
  afterEach(async () => {
    await stand.clear();
    mailbox.mails.length = 0;
    mailbox.refusals.length = 0;
    stand.deps.config.REPORTS = 'each';
  });
  afterAll(async () => {
    await stand?.close();
    await mailbox?.close();
  });

  /** A run that has just finished, with the notice that the end of a run writes. */
  async function finished(tracker: string, more: { updated?: number; word?: string } = {}): Promise<string> {
    const sql = stand.stack.sql;
    const now = new Date(stand.deps.clock());
    const [run] = await sql<{ id: string }[]>`
      insert into tracking_runs (tracker, state, planned, updated, unmapped, requests, request_limit, words, started_at, finished_at)
      values (${tracker}, 'finished', 50, ${more.updated ?? 7}, 1, 3, '7/3', ${sql.json({ [more.word ?? 'UD-ODD']: 1 })},
        ${new Date(now.getTime() - 60_000)}, ${now}) returning id`;
    return await stand.notice('tracking-report', { runId: run?.id, tracker });
  }

  test('a mail after each run, once, to all recipients, as plain text and as HTML', async () => {
    const id = await finished('delhivery-b2c', { word: 'UD-<ODD>' });
    await stand.turn();
    await stand.turn();
    stand.advance(HOUR);
    await stand.turn();
    expect(mailbox.mails).toHaveLength(1);
    const [mail] = mailbox.mails;
    expect(mail?.subject).toBe('Delhivery B2C: 7 of 50 parcels updated, 1 unmapped');
    expect(mail?.from).toMatchObject({ name: 'Orderfleet', address: 'orderfleet@127.0.0.1' });
    expect(mailbox.recipients).toEqual(['ops@shop.example', 'boss@shop.example']);
    expect(mail?.text).toContain('Updated            7  (14 %)');
    expect(mail?.text).toContain('1 × UD-<ODD>');
    expect(mail?.html).toContain('UD-&lt;ODD&gt;');
    expect(mail?.messageId).toMatch(/^<report-.*@orderfleet>$/);
    expect(await stand.row(id)).toMatchObject({ state: 'sent', attempts: 1 });
  });

  test('a few runs that end together are a mail each; many after an outage are one', async () => {
    for (const tracker of ['velocity', 'shiprocket']) await finished(tracker);
    await stand.turn();
    expect(mailbox.mails.map(({ subject }) => subject).sort()).toEqual([
      'Shiprocket: 7 of 50 parcels updated, 1 unmapped',
      'Velocity: 7 of 50 parcels updated, 1 unmapped',
    ]);
    for (let nth = 0; nth < 25; nth++) await finished('velocity');
    await stand.turn();
    expect(mailbox.mails).toHaveLength(3);
    expect(mailbox.mails[2]?.subject).toContain('25 runs, 175 of 1,250 parcels updated');
  });

  test.each([
    ['hourly' as const, HOUR],
    ['daily' as const, 24 * HOUR],
  ])('%s: one mail over all runs since the last digest', async (reports, period) => {
    stand.deps.config.REPORTS = reports;
    // to just after a digest, so that the test's runs are of one
    const now = stand.deps.clock();
    stand.advance(Math.ceil((now - 6 * HOUR) / period) * period + 6 * HOUR - now + 1_000);
    const ids = [await finished('velocity'), await finished('shiprocket', { updated: 9 })];
    await stand.turn();
    stand.advance(period / 2);
    ids.push(await finished('velocity'));
    await stand.turn();
    expect(mailbox.mails).toEqual([]);
    for (const id of ids) expect(await stand.row(id)).toMatchObject({ state: 'pending', attempts: 0 });
    stand.advance(period / 2);
    await stand.turn();
    expect(mailbox.mails).toHaveLength(1);
    expect(mailbox.mails[0]?.subject).toMatch(
      /^Tracking, .*: 3 runs, 23 of 150 parcels updated, 3 unmapped$/,
    );
    await finished('velocity');
    await stand.turn();
    expect(mailbox.mails).toHaveLength(1);
  });

  test('off: withdrawn with the reason', async () => {
    stand.deps.config.REPORTS = 'off';
    const id = await finished('velocity');
    await stand.turn();
    expect(await stand.row(id)).toMatchObject({
      state: 'withdrawn',
      error: 'reports are disabled: REPORTS=off',
    });
    expect(mailbox.mails).toEqual([]);
  });

  test('a server that refuses is tried again later; what it says is kept without addresses', async () => {
    const id = await finished('velocity');
    mailbox.refusals.push('try later, ops@shop.example', 'still not');
    await stand.turn();
    const row = await stand.row(id);
    expect(row).toMatchObject({ state: 'pending', attempts: 1, error: expect.stringContaining('try later') });
    expect(row.error).toContain('127.0.0.1 rejected the mail');
    expect(row.error).not.toContain('shop.example');
    // others wait with it, and spend nothing
    const other = await finished('shiprocket');
    stand.advance(1_000);
    await stand.turn();
    expect(await stand.row(other)).toMatchObject({ state: 'pending', attempts: 0 });
    while (await stand.next());
    expect(mailbox.mails).toHaveLength(2);
    expect(new Set(mailbox.mails.map(({ messageId }) => messageId)).size).toBe(2);
  });

  test('no server there: nothing is lost, and it comes when there is one', async () => {
    const url = stand.deps.config.SMTP_URL;
    stand.deps.config.SMTP_URL = 'smtp://127.0.0.1:9';
    const id = await finished('velocity');
    await stand.turn();
    expect(await stand.row(id)).toMatchObject({
      state: 'pending',
      error: expect.stringContaining('ECONNREFUSED'),
    });
    stand.deps.config.SMTP_URL = url;
    await stand.next();
    expect(mailbox.mails).toHaveLength(1);
  });

  test('a run that is not stored any more is withdrawn', async () => {
    const id = await stand.notice('tracking-report', { runId: crypto.randomUUID() });
    const odd = await stand.notice('tracking-report', {});
    await stand.turn();
    for (const one of [id, odd]) expect(await stand.row(one)).toMatchObject({ state: 'withdrawn' });
  });

  test('C12: without a Slack channel for them, matters that need a person come by mail, many in one', async () => {
    await stand.notice('store-paused', {
      store: 'my-shop',
      reason: 'Temu refused the store: <rotate> its token',
    });
    await stand.turn();
    expect(mailbox.mails[0]?.subject).toBe('my-shop: Temu refused the store: <rotate> its token');
    expect(mailbox.mails[0]?.html).toContain('&lt;rotate&gt;');
    for (let nth = 0; nth < 60; nth++) await stand.notice('awb-at-risk', { text: `order ${nth} must ship` });
    await stand.turn();
    expect(mailbox.mails).toHaveLength(2);
    expect(mailbox.mails[1]?.subject).toBe('60 issues need attention');
    expect(mailbox.mails[1]?.text).toContain('… and 10 more: orderfleet status');
    expect(mailbox.mails[1]?.text?.match(/order \d+ must ship/g)).toHaveLength(50);
  });
});

describe('C13: which server', () => {
  const key = Buffer.alloc(32).toString('base64');
  const settings = (env: Record<string, string>) =>
    mailSettings(parseConfig({ DATABASE_URL: 'postgres://x/x', CREDENTIALS_KEY: key, ...env }));
  const to = { EMAIL_RECIPIENTS: 'a@x.example' };
  const own = { EMAIL_SENDER: 'me@gmail.example', EMAIL_PASSWORD: 'secret' };

  test('a sender with a password alone means Gmail’s', () => {
    expect(settings({ ...own, ...to })).toEqual({
      server: { host: 'smtp.gmail.com', port: 465, secure: true },
      host: 'smtp.gmail.com',
      login: { user: 'me@gmail.example', pass: 'secret' },
      from: 'me@gmail.example',
      to: ['a@x.example'],
    });
  });

  test('SMTP_URL names the server; its own user counts, else the sender logs in', () => {
    expect(settings({ SMTP_URL: 'smtps://bot%40x:pw@mail.example', ...own, ...to })).toMatchObject({
      server: { url: 'smtps://bot%40x:pw@mail.example' },
      login: undefined,
      from: 'me@gmail.example',
    });
    expect(settings({ SMTP_URL: 'smtp://mail.example', ...own, ...to })).toMatchObject({
      login: { user: 'me@gmail.example', pass: 'secret' },
    });
    expect(settings({ SMTP_URL: 'smtps://bot%40x:pw@mail.example', ...to })).toMatchObject({ from: 'bot@x' });
  });

  test('what is missing is said', () => {
    expect(settings(to)).toBe(
      'no mail server configured: set SMTP_URL, or EMAIL_SENDER and EMAIL_PASSWORD for Gmail',
    );
    expect(settings(own)).toBe('no mail recipients configured: set EMAIL_RECIPIENTS');
  });

  test('the login of SMTP_URL is used, decoded', async () => {
    const mailbox = await startMailbox();
    const url = mailbox.url.replace('//', '//bot%40x:p%2Fw@');
    const stand = await startAlertStand({ SMTP_URL: url, EMAIL_RECIPIENTS: 'a@x.example' });
    try {
      await stand.notice('store-paused', { text: 'x' });
      await stand.turn();
      expect(mailbox.logins).toEqual([{ user: 'bot@x', password: 'p/w' }]);
      expect(mailbox.mails).toHaveLength(1);
      expect(stand.stack.logged()).not.toContain('p/w');
    } finally {
      await stand.close();
      await mailbox.close();
    }
  });
});
