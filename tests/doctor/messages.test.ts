import { afterAll, beforeAll, expect, test } from 'vitest';
import { type Smtp, startSmtp } from '../../sandbox/smtp.ts';
import { parseConfig } from '../../src/config/index.ts';
import { messages } from '../../src/doctor/messages.ts';
import type { Fleet } from '../../src/fleet/index.ts';

let open: Smtp;
let closed: Smtp;
beforeAll(async () => {
  [open, closed] = await Promise.all([startSmtp({ login: null }), startSmtp()]);
});
afterAll(async () => {
  await Promise.all([open?.close(), closed?.close()]);
});

/** What doctor finds about mail: nothing else of the fleet is asked. */
async function mail(env: Record<string, string>): Promise<string | undefined> {
  const config = parseConfig({
    ...{ DATABASE_URL: 'postgres://x/x', CREDENTIALS_KEY: Buffer.alloc(32).toString('base64') },
    ...{ EMAIL_RECIPIENTS: 'a@x.example', ...env },
  });
  const found = await messages.look({ config } as Fleet, new AbortController().signal);
  return found
    .filter(({ says }) => says.startsWith('Mail'))
    .map(({ verdict, says, remedy }) => [verdict, says, ...(remedy ? [remedy] : [])].join(' · '))
    .join('\n');
}

test('O6: a mail server that takes our login, or wants none and gets none, lets us in', async () => {
  expect(await mail({ SMTP_URL: closed.url })).toBe('ok · Mail: 127.0.0.1 accepts connections');
  expect(await mail({ SMTP_URL: open.url })).toBe('ok · Mail: 127.0.0.1 accepts connections');
});

test('O6: one that offers no login, while we have one, does not', async () => {
  const says =
    /^warning · Mail: 127\.0\.0\.1 answers but does not offer a login \(AUTH\), so user and password are not used · use the port that offers one/;
  expect(await mail({ SMTP_URL: open.url.replace('//', '//user:secret@') })).toMatch(says);
  expect(await mail({ SMTP_URL: open.url, EMAIL_SENDER: 'a@x.example', EMAIL_PASSWORD: 'secret' })).toMatch(
    says,
  );
});

test('O6: one that refuses it does not either', async () => {
  expect(await mail({ SMTP_URL: closed.url.replace('demo-smtp', 'wrong') })).toMatch(
    /^fault · Mail: 127\.0\.0\.1 rejects the login: .* · correct SMTP_URL/,
  );
});
