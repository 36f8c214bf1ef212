import type { Context } from 'hono';
import { html, raw } from 'hono/html';
import { type App, body } from './control-body.ts';
import * as schema from './control-courier-schema.ts';
import { httpFaultRoutes } from './control-couriers.ts';
import type { Hooks } from './hooks.ts';
import type { Slack } from './slack.ts';
import type { Mail, Smtp, SmtpTrouble } from './smtp.ts';

export interface OutboxContext {
  slack: Slack;
  hooks: Hooks;
  smtp: Smtp | null;
}

/** Received mails, Slack messages and webhooks: HTML for browsers, JSON for programs. */
export function outboxRoutes(app: App, { slack, hooks, smtp }: OutboxContext): void {
  mailRoutes(app, smtp);
  app.get('/slack', (c) => {
    const messages = slack.messages.list();
    if (!wantsPage(c)) return c.json({ messages, calls: slack.calls.list() });
    const rows = [...messages]
      .reverse()
      .map(({ at, channel, text, blocks }) => [
        when(at),
        channel,
        text,
        blocks ? JSON.stringify(blocks) : '',
      ]);
    return c.html(page('Slack messages', ['When', 'Channel', 'Text', 'Blocks'], rows));
  });
  app.delete('/slack', (c) => {
    slack.messages.clear();
    slack.calls.clear();
    return c.json({ ok: true });
  });
  httpFaultRoutes(app, '/slack', () => slack.faults);
  app.get('/hooks', (c) => {
    const requests = hooks.requests.list();
    if (!wantsPage(c)) return c.json(requests);
    const rows = [...requests]
      .reverse()
      .map(({ at, hook, method, status, body: sent }) => [when(at), hook, method, String(status), sent]);
    return c.html(page('Webhooks', ['When', 'Hook', 'Method', 'Answered', 'Body'], rows));
  });
  app.delete('/hooks', (c) => {
    hooks.requests.clear();
    return c.json({ ok: true });
  });
  httpFaultRoutes(app, '/hooks', () => hooks.faults);
}

function mailRoutes(app: App, smtp: Smtp | null): void {
  const server = (): Smtp => {
    if (!smtp) throw new Error('no SMTP server runs here; start the sandbox with one');
    return smtp;
  };
  app.get('/mails', (c) => {
    const mails = server().mails.list();
    if (!wantsPage(c)) return c.json(mails.map(summary));
    const rows = [...mails]
      .reverse()
      .map((mail) => [
        when(mail.at),
        mail.envelope.to.join(', '),
        html`<a href="/_sandbox/mails/${mail.id}">${mail.parsed.subject ?? '(no subject)'}</a>`,
      ]);
    return c.html(page('Mails', ['When', 'To', 'Subject'], rows));
  });
  app.delete('/mails', (c) => {
    server().mails.clear();
    return c.json({ ok: true });
  });
  app.post('/mails/trouble', async (c) => {
    server().trouble((await body(c, schema.trouble)) as SmtpTrouble);
    return c.json({ ok: true }, 201);
  });
  app.delete('/mails/trouble', (c) => {
    server().lift();
    return c.json({ ok: true });
  });
  app.get('/mails/:id', (c) => {
    const id = Number(c.req.param('id'));
    const mail = server()
      .mails.list()
      .find((one) => one.id === id);
    if (!mail) return c.json({ error: `there is no mail ${c.req.param('id')}` }, 404);
    // As in a mail program: no scripts, nothing loaded.
    c.header(
      'Content-Security-Policy',
      "default-src 'none'; style-src 'unsafe-inline'; img-src data:; sandbox",
    );
    return c.html(mail.parsed.html ?? html`<pre>${mail.parsed.text ?? ''}</pre>`);
  });
  app.get('/mails/:id/raw', (c) => {
    const mail = server()
      .mails.list()
      .find((one) => one.id === Number(c.req.param('id')));
    return mail ? c.text(mail.raw) : c.json({ error: 'there is no such mail' }, 404);
  });
}

function summary({ id, at, envelope, user, parsed }: Mail) {
  const { subject, from, text } = parsed;
  return { id, at, envelope, user, subject, from, text, html: parsed.html !== undefined };
}

function wantsPage(c: Context): boolean {
  return c.req.header('accept')?.includes('text/html') ?? false;
}

function when(at: number): string {
  return new Date(at).toISOString().slice(0, 19).replace('T', ' ');
}

type Cell = string | ReturnType<typeof html>;

function page(title: string, heads: readonly string[], rows: readonly (readonly Cell[])[]) {
  const style =
    'body{font:15px system-ui;margin:2rem}table{border-collapse:collapse}' +
    'td,th{border:1px solid #ccc;padding:.3rem .6rem;text-align:left;vertical-align:top;max-width:60rem;overflow-wrap:anywhere}';
  return html`<!doctype html>
    <html lang="en">
      <head><meta charset="utf-8" /><title>${title}</title><style>${raw(style)}</style></head>
      <body>
        <h1>${title} (${rows.length})</h1>
        <table>
          <tr>${heads.map((head) => html`<th>${head}</th>`)}</tr>
          ${rows.map((row) => html`<tr>${row.map((cell) => html`<td>${cell}</td>`)}</tr>`)}
        </table>
      </body>
    </html>`;
}
