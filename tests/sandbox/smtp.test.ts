import nodemailer, { type SendMailOptions } from 'nodemailer';
import { describe, expect, it, onTestFinished } from 'vitest';
import type { SandboxOptions } from '../../sandbox/server.ts';
import type { Smtp } from '../../sandbox/smtp.ts';
import { sandboxForTest } from './client.ts';
import { request } from './couriers.ts';

const MAIL = {
  from: 'Orderfleet <reports@orderfleet.example>',
  to: ['ops@example.com', 'boss@example.com'],
  subject: 'Delhivery B2C: 36 000 parcels · fertig ✓',
  text: 'asked 36000',
  html: '<h1>asked 36000</h1><script>alert(1)</script>',
};

async function mailTest(smtp: SandboxOptions['smtp'] = true) {
  const sandbox = await sandboxForTest({ smtp });
  const server = sandbox.smtp as Smtp;
  const send = (mail: SendMailOptions = MAIL, url = server.url) => {
    const transport = nodemailer.createTransport(url, {});
    onTestFinished(() => transport.close());
    return transport.sendMail(mail);
  };
  return { sandbox, server, send };
}

describe('the SMTP server', () => {
  it('runs only when it is asked for', async () => {
    const { smtp, env } = await sandboxForTest();
    expect(smtp).toBeNull();
    expect(env()).not.toHaveProperty('SMTP_URL');
  });

  it('keeps a mail as it came, and parsed', async () => {
    const { server, send, sandbox } = await mailTest();
    expect(sandbox.env().SMTP_URL).toBe(server.url);
    await send();
    const [mail] = await server.mails.wait(1);
    expect(mail?.envelope).toEqual({ from: 'reports@orderfleet.example', to: MAIL.to });
    expect(mail?.parsed).toMatchObject({ subject: MAIL.subject, html: expect.stringContaining('<h1>') });
    expect(mail?.parsed.text?.trim()).toBe(MAIL.text);
    expect(mail?.raw).toContain('MIME-Version: 1.0');
    expect(server.events.list()).toEqual(['connect', 'auth', 'mail']);
  });

  it('can be looked at: a list, and the mail itself as a page without scripts', async () => {
    const { send, sandbox } = await mailTest();
    await send();
    await send({ from: MAIL.from, to: MAIL.to, subject: 'plain', text: 'a < b' });
    const at = `${sandbox.url}/_sandbox/mails`;
    expect((await request(at)).json).toMatchObject([
      { id: 1, subject: MAIL.subject, html: true },
      { id: 2, html: false },
    ]);
    const list = await request(at, { headers: { accept: 'text/html' } });
    expect(list.text).toContain('<a href="/_sandbox/mails/1">');
    const page = await request(`${at}/1`);
    expect(page.headers.get('content-security-policy')).toContain('sandbox');
    expect(page.text).toContain('<h1>asked 36000</h1>');
    expect((await request(`${at}/2`)).text).toContain('a &lt; b');
    expect((await request(`${at}/1/raw`)).text).toContain('Subject:');
    expect((await request(`${at}/9`)).status).toBe(404);
  });

  it('wants the right password, or none at all', async () => {
    const { server, send } = await mailTest();
    await expect(send(MAIL, server.url.replace('demo-smtp', 'wrong'))).rejects.toMatchObject({
      responseCode: 535,
    });
    await expect(send(MAIL, `smtp://127.0.0.1:${server.port}`)).rejects.toMatchObject({ responseCode: 530 });
    const open = await mailTest({ login: null });
    await open.send();
    expect(open.server.mails.list()).toHaveLength(1);
  });

  it.each(['connect', 'auth', 'from', 'rcpt', 'data'] as const)('refuses or drops at %s', async (at) => {
    const { server, send } = await mailTest();
    server.trouble({ at, code: 421, message: 'Try again later', times: 1 });
    await expect(send()).rejects.toMatchObject({ responseCode: 421 });
    server.trouble({ at, drop: true, times: 1 });
    await expect(send()).rejects.toThrow();
    await send();
    expect(server.mails.list()).toHaveLength(1);
    expect(server.events.list()).toEqual(expect.arrayContaining([`refused:${at}:421`, `dropped:${at}`]));
  });

  it('may keep a mail of which the client never hears', async () => {
    const { server, send, sandbox } = await mailTest();
    const trouble = JSON.stringify({ drop: true, keep: true, times: 1 });
    await request(`${sandbox.url}/_sandbox/mails/trouble`, { method: 'POST', body: trouble });
    await expect(send()).rejects.toThrow();
    expect(server.mails.list()).toHaveLength(1);
  });
});
