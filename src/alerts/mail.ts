import type { Config } from '../config.ts';
import { fail, messageOf, ok, type Result } from '../errors.ts';
import { notInTransaction } from '../in-transaction.ts';

export interface MailSettings {
  /** Handed to nodemailer; with `url` its query may say more, e.g. `?ignoreTLS=true`. */
  server:
    | { url: string; tls?: { rejectUnauthorized: false } }
    | { host: string; port: number; secure: boolean };
  /** For messages. */
  host: string;
  login: { user: string; pass: string } | undefined;
  from: string;
  to: string[];
}

export interface Mail {
  /** Names the mail: a second copy after a crash has the same one, by which mail programs tell doubles. */
  id: string;
  subject: string;
  text: string;
  html: string;
}

export interface Mailer {
  /**
   * Failures: `transient` whatever it is, since the next try may find the server, the password or the addresses put
   * right; the message says which. @returns how many addresses the server did not take, when it took others
   */
  send(mail: Mail, signal: AbortSignal): Promise<Result<{ refused: number }>>;
  /** Connects and logs in, without a mail, for doctor. Failures: `credentials`, `transient`. */
  verify(signal: AbortSignal): Promise<Result<void>>;
}

const GMAIL = { host: 'smtp.gmail.com', port: 465, secure: true };
const LOOPBACK = /^(localhost|127\.\d+\.\d+\.\d+|::1)$/;

/** C13: where mails go, or what is missing. SMTP_URL names the server; a sender with a password alone means Gmail's. */
export function mailSettings(config: Config): MailSettings | string {
  const { SMTP_URL, EMAIL_SENDER, EMAIL_PASSWORD, EMAIL_RECIPIENTS: to } = config;
  const own = EMAIL_SENDER && EMAIL_PASSWORD ? { user: EMAIL_SENDER, pass: EMAIL_PASSWORD } : undefined;
  if (!SMTP_URL && !own)
    return 'no mail server configured: set SMTP_URL, or EMAIL_SENDER and EMAIL_PASSWORD for Gmail';
  if (to.length === 0) return 'nobody gets mails: set EMAIL_RECIPIENTS';
  if (!SMTP_URL) return { server: GMAIL, host: GMAIL.host, login: own, from: own?.user ?? '', to };
  const url = new URL(SMTP_URL);
  const host = url.hostname.replace(/^\[|\]$/g, '');
  const user = decodeURIComponent(url.username);
  // a relay on this machine has a certificate of its own making, and nobody in between
  const tls = LOOPBACK.test(host) ? { tls: { rejectUnauthorized: false as const } } : {};
  return {
    server: { url: SMTP_URL, ...tls },
    host,
    login: user ? undefined : own,
    from: EMAIL_SENDER ?? (user.includes('@') ? user : `orderfleet@${host}`),
    to,
  };
}

/** One connection per mail: they are minutes apart, and nothing is left open. */
export function createMailer(settings: MailSettings, timeoutMs: number): Mailer {
  const open = async () => {
    // loaded by whoever has a mail to send: most processes never do, and they start the sooner
    const { createTransport } = await import('nodemailer');
    return createTransport({
      ...settings.server,
      ...(settings.login ? { auth: settings.login } : {}),
      dnsTimeout: timeoutMs,
      connectionTimeout: timeoutMs,
      greetingTimeout: timeoutMs,
      socketTimeout: timeoutMs * 2, // a server may check a mail for spam before it says yes
      disableFileAccess: true,
      disableUrlAccess: true,
    });
  };
  return {
    async send(mail, signal) {
      notInTransaction('a mail');
      signal.throwIfAborted();
      const message = {
        ...{ from: { name: 'Orderfleet', address: settings.from }, to: settings.to },
        ...{ subject: mail.subject, text: mail.text, html: mail.html },
        messageId: `<${mail.id}@orderfleet>`,
        // no "out of office" comes back for it (RFC 3834)
        headers: { 'Auto-Submitted': 'auto-generated' },
      };
      try {
        const { rejected } = await until(signal, (await open()).sendMail(message));
        return ok({ refused: rejected.length });
      } catch (error) {
        signal.throwIfAborted();
        return fail('transient', `${settings.host} does not take the mail: ${withoutAddresses(error)}`);
      }
    },
    async verify(signal) {
      try {
        await until(signal, (await open()).verify());
        return ok(undefined);
      } catch (error) {
        signal.throwIfAborted();
        return (error as { code?: string }).code === 'EAUTH'
          ? fail('credentials', `${settings.host} does not let us in: ${withoutAddresses(error)}`)
          : fail('transient', `${settings.host} cannot be spoken to: ${withoutAddresses(error)}`);
      }
    },
  };
}

/** Mail servers repeat addresses and a login's text in what they say. */
const withoutAddresses = (error: unknown) =>
  messageOf(error)
    .replace(/[^\s<>@]+@[^\s<>@]+/g, '…')
    .slice(0, 300);

/** The mail may still leave when the process stops waiting for it: its lease keeps it from being sent again at once. */
async function until<T>(signal: AbortSignal, work: Promise<T>): Promise<T> {
  let stop = () => {};
  const aborted = new Promise<never>((_, reject) => {
    stop = () => reject(signal.reason);
    signal.addEventListener('abort', stop, { once: true });
  });
  try {
    return await Promise.race([work, aborted]);
  } finally {
    signal.removeEventListener('abort', stop);
    work.catch(() => {});
  }
}
