import { hostname } from 'node:os';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { type Smtp, startSmtp } from '../../sandbox/smtp.ts';
import { deliveryOverview, openNotices } from '../../src/alerts/index.ts';
import { ehloName, type MailSettings, mailSettings } from '../../src/alerts/mail.ts';
import { parseConfig } from '../../src/config/index.ts';
import { type AlertStand, startAlertStand } from './harness.ts';

const [A, B, C] = ['a@shop.example', 'b@shop.example', 'c@shop.example'] as const;
const DAY = 86_400_000;

let smtp: Smtp;
let stand: AlertStand;

beforeAll(async () => {
  smtp = await startSmtp();
  stand = await startAlertStand(
    { SMTP_URL: smtp.url, EMAIL_RECIPIENTS: [A, B, C].join() },
    { timings: { callMs: 2_000 } },
  );
});
afterEach(async () => {
  await stand.clear();
  smtp.reset();
  stand.deps.config.EMAIL_RECIPIENTS = [A, B, C];
});
afterAll(async () => {
  await stand?.close();
  await smtp?.close();
});

/** The Message-IDs of what an address has got, in order. */
const got = (address: string) =>
  smtp.mails
    .list()
    .filter(({ envelope }) => envelope.to.includes(address))
    .map(({ parsed }) => parsed.messageId);
const mailsOf = (address: string) =>
  smtp.mails
    .list()
    .filter(({ envelope }) => envelope.to.includes(address))
    .map(({ parsed }) => [parsed.subject, parsed.text]);
const subjects = (address: string) =>
  smtp.mails
    .list()
    .filter(({ envelope }) => envelope.to.includes(address))
    .map(({ parsed }) => parsed.subject);
const refusals = (code: number) =>
  smtp.events.list().filter((event) => event === `refused:rcpt:${code}`).length;
const matter = (text: string) => stand.notice('awb-at-risk', { text });
async function report(): Promise<string> {
  const [run] = await stand.stack.sql<{ id: string }[]>`
    insert into tracking_runs (tracker, state, planned, updated, started_at, finished_at)
    values ('velocity', 'finished', 50, 7, now(), now()) returning id`;
  return await stand.notice('tracking-report', { runId: run?.id, tracker: 'velocity' });
}
/** Everything that is due, now and later, with a new worker for each turn. */
async function toTheEnd(): Promise<void> {
  for (let turn = 0; turn < 300 && (await stand.next()); turn++) stand.restart();
}
const rowsOf = async (kind: string) => (await stand.rows()).filter((row) => row.kind === kind);

describe.each([
  ['a matter', () => matter('order X must ship')],
  ['a report', report],
])('C13: %s to three, of whom one is refused', (_, write) => {
  test('for the moment: tried again alone, also by the next worker; each gets it once', async () => {
    smtp.trouble({ at: 'rcpt', recipient: B, code: 450, times: 3 });
    const id = await write();
    await stand.turn();
    expect([got(A).length, got(B).length, got(C).length]).toEqual([1, 0, 1]);
    expect(await stand.row(id)).toMatchObject({ state: 'sent', error: 'retried separately: 1 address' });
    const [left] = await rowsOf('mail');
    expect(left).toMatchObject({ state: 'pending', attempts: 1, error: expect.stringContaining('450') });
    expect(left?.error).not.toContain('shop.example');
    await toTheEnd();
    expect(got(B)).toEqual(got(A));
    expect(got(C)).toEqual(got(A));
    expect(got(A)).toHaveLength(1);
    // after the first all conversations were about that one alone
    expect(smtp.mails.list().map(({ envelope }) => envelope.to)).toEqual([[A, C], [B]]);
    expect(refusals(450)).toBe(3);
    expect(await rowsOf('mail')).toMatchObject([{ state: 'sent', attempts: 4, error: null }]);
    expect(await rowsOf('mail-refused')).toEqual([]);
    const [first, second] = smtp.mails.list();
    expect(second?.parsed.html).toBe(first?.parsed.html);
    expect(second?.parsed.to).toEqual(first?.parsed.to);
  });

  test('for good: told to the others once, and not tried again', async () => {
    smtp.trouble({ at: 'rcpt', recipient: B, code: 550, message: `<${B}>: no such user here` });
    const id = await write();
    await stand.turn();
    expect(await stand.row(id)).toMatchObject({
      state: 'sent',
      error: 'rejected for good: 1 address: 550 <…>: no such user here',
    });
    await toTheEnd();
    // the mail itself, and the word about it
    expect(refusals(550)).toBe(2);
    expect(subjects(A)).toHaveLength(2);
    expect(subjects(A)[1]).toBe(
      '127.0.0.1 rejects mail for b@shop.example (550 <…>: no such user here): correct EMAIL_RECIPIENTS, or fix that mailbox',
    );
    expect(got(C)).toEqual(got(A));
    expect(got(B)).toEqual([]);
    expect(await rowsOf('mail')).toEqual([]);
    for (let nth = 0; nth < 3; nth++) {
      await write();
      await toTheEnd();
    }
    expect(await rowsOf('mail-refused')).toHaveLength(1);
    expect(got(A)).toHaveLength(5);
    expect(refusals(550)).toBe(5);
    // a week later it is news again
    stand.advance(8 * DAY);
    await write();
    await toTheEnd();
    expect(got(A)).toHaveLength(7);
    expect(await rowsOf('mail-refused')).toMatchObject([{ state: 'sent' }]);
  });

  test('by a connection that breaks: the others get it all the same', async () => {
    smtp.trouble({ at: 'rcpt', recipient: B, drop: true, times: 6 });
    await write();
    await toTheEnd();
    for (const address of [A, B, C]) expect(got(address)).toHaveLength(1);
    expect(got(B)).toEqual(got(A));
    expect(smtp.mails.list().map(({ envelope }) => envelope.to)).toHaveLength(3);
    expect(smtp.mails.list()[2]?.envelope.to).toEqual([B]);
  });
});

test('C13: an answer that was lost after the mail: the second copy is the same mail, whatever has come due meanwhile', async () => {
  smtp.trouble({ at: 'data', drop: true, keep: true, times: 1 });
  await matter('order X must ship');
  await stand.turn();
  await matter('order Y must ship');
  await toTheEnd();
  for (const address of [A, B, C]) {
    expect(subjects(address).sort()).toEqual(['order X must ship', 'order X must ship', 'order Y must ship']);
    expect(new Set(got(address)).size).toBe(2);
  }
});

test('C13: refused for the moment first, for good then: told, and ended', async () => {
  smtp.trouble({ at: 'rcpt', recipient: B, code: 451, times: 1 });
  smtp.trouble({ at: 'rcpt', recipient: B, code: 553 });
  await matter('order X must ship');
  await toTheEnd();
  expect(await rowsOf('mail')).toMatchObject([
    { state: 'withdrawn', attempts: 2, error: expect.stringMatching(/^rejected for good: 553/) },
  ]);
  expect(await rowsOf('mail-refused')).toMatchObject([{ state: 'sent' }]);
  expect(subjects(A)).toHaveLength(2);
});

test('C13: for the moment, and for ever: given up after a day, and shown', async () => {
  smtp.trouble({ at: 'rcpt', recipient: B, code: 452 });
  await matter('order X must ship');
  await stand.turn();
  await stand.stack.sql`update notices set attempts = 98 where kind = 'mail'`;
  await toTheEnd();
  expect(await rowsOf('mail')).toMatchObject([{ state: 'failed', attempts: 100 }]);
  const open = await openNotices(stand.deps.db, 20, stand.deps.clock());
  expect(open.map(({ kind, text }) => [kind, text])).toContainEqual([
    'delivery-failed',
    expect.stringMatching(/^1 × mail could not be delivered: 452 /),
  ]);
  expect((await deliveryOverview(stand.deps.db, stand.deps.clock())).failed).toBe(1);
  expect(got(A)).toHaveLength(1);
});

test('C13: two are refused for the moment: one that breaks each connection does not hold up the other', async () => {
  smtp.trouble({ at: 'rcpt', recipient: B, code: 450, times: 1 });
  smtp.trouble({ at: 'rcpt', recipient: C, code: 450, times: 1 });
  smtp.trouble({ at: 'rcpt', recipient: B, drop: true });
  await matter('order X must ship');
  await stand.turn();
  for (let turn = 0; turn < 6; turn++) await stand.next();
  expect([got(A).length, got(B).length, got(C).length]).toEqual([1, 0, 1]);
});

test('C13: the only address is rejected for good: shown to people, since nobody can be told', async () => {
  stand.deps.config.EMAIL_RECIPIENTS = [B];
  smtp.trouble({ at: 'rcpt', code: 550 });
  const id = await matter('order X must ship');
  await toTheEnd();
  expect(refusals(550)).toBe(2);
  expect(await stand.row(id)).toMatchObject({ state: 'failed', sentAt: null });
  const open = await openNotices(stand.deps.db, 20, stand.deps.clock());
  expect(open.map(({ text }) => text).sort()).toEqual([
    expect.stringContaining('127.0.0.1 rejects mail for b@shop.example (550 '),
    expect.stringMatching(/^order X must ship \(could not be delivered: rejected for good: 1 address: 550/),
  ]);
});

test.each([
  [530, 'Authentication required'],
  [554, '5.7.1 Relay access denied'],
  [450, '4.7.1 Greylisted'],
])(
  'C13: %i %s to all alike is about us: nothing is lost or told, the mail comes once that is right',
  async (code, message) => {
    smtp.trouble({ at: 'rcpt', code, message, times: 6 });
    const id = await matter('order X must ship');
    await stand.turn();
    expect(await stand.row(id)).toMatchObject({ state: 'pending', error: expect.stringContaining(message) });
    stand.restart();
    await matter('order Y must ship');
    await toTheEnd();
    // by themselves, or in one mail where the second was there by then
    expect(JSON.stringify(mailsOf(A))).toMatch(
      /order X must ship.*order Y must ship|order Y must ship.*order X must ship/,
    );
    expect(refusals(code)).toBe(6);
    expect((await stand.rows()).map(({ kind, state }) => `${kind} ${state}`)).toEqual(
      Array(2).fill('awb-at-risk sent'),
    );
  },
);

test('C13: who is no recipient any more gets nothing more', async () => {
  smtp.trouble({ at: 'rcpt', recipient: B, code: 450, times: 1 });
  await matter('order X must ship');
  await stand.turn();
  stand.deps.config.EMAIL_RECIPIENTS = [A, C];
  await toTheEnd();
  expect(got(B)).toEqual([]);
  expect(await rowsOf('mail')).toMatchObject([
    { state: 'withdrawn', error: 'the address is no longer in EMAIL_RECIPIENTS' },
  ]);
});

test('C13: an address is known again as nodemailer writes it; a subject that is cut within a sign can be kept', async () => {
  const [capital, asServerSees] = ['Ops@Bücher.Example', 'Ops@bücher.example'];
  stand.deps.config.EMAIL_RECIPIENTS = [A, capital];
  smtp.trouble({ at: 'rcpt', recipient: asServerSees, code: 450, times: 1 });
  await matter(`${'x'.repeat(118)}🚚 and more`);
  await stand.turn();
  expect(await rowsOf('mail')).toMatchObject([{ state: 'pending' }]);
  await toTheEnd();
  expect(got(asServerSees)).toEqual(got(A));
  expect(got(A)).toHaveLength(1);
});

describe('C13: the EHLO name', () => {
  const settings = (env: Record<string, string>) =>
    mailSettings(
      parseConfig({
        DATABASE_URL: 'postgres://x/x',
        CREDENTIALS_KEY: Buffer.alloc(32).toString('base64'),
        EMAIL_RECIPIENTS: A,
        ...env,
      }),
    ) as MailSettings;
  const SMTP_URL = 'smtp://mail.example';

  test.each([
    ['PUBLIC_URL’s host', { SMTP_URL, PUBLIC_URL: 'https://fleet.example.com:8443/x' }, 'fleet.example.com'],
    ['else the sender’s domain', { SMTP_URL, EMAIL_SENDER: 'ops@shop.example' }, 'shop.example'],
    [
      'no address and no bare name',
      { SMTP_URL, PUBLIC_URL: 'http://10.1.2.3', EMAIL_SENDER: 'ops@shop.example' },
      'shop.example',
    ],
    ['in ASCII', { SMTP_URL, PUBLIC_URL: 'https://bücher.example' }, 'xn--bcher-kva.example'],
    [
      'nodemailer’s own, where nothing is known',
      { SMTP_URL, PUBLIC_URL: 'http://localhost:8080' },
      undefined,
    ],
  ])('%s', (_, env, name) => {
    // a machine that has a whole name of its own says that one before the sender's
    const own = hostname().includes('.') && !('PUBLIC_URL' in env && /example/.test(env.PUBLIC_URL ?? ''));
    expect(ehloName(settings(env))).toBe(own ? hostname() : name);
  });

  test.each([
    ['', 'fleet.example.com'],
    ['?name=relay.example.org', 'relay.example.org'],
  ])('is what the server hears, and SMTP_URL%s counts before all', async (query, name) => {
    const own = await startAlertStand({
      SMTP_URL: `${smtp.url}${query}`,
      EMAIL_RECIPIENTS: A,
      PUBLIC_URL: 'https://fleet.example.com',
    });
    try {
      await own.notice('awb-at-risk', { text: 'x' });
      await own.turn();
      expect(smtp.mails.list().map(({ greeting }) => greeting)).toEqual([name]);
    } finally {
      await own.close();
    }
  });
});
