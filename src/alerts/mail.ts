import { hostname } from 'node:os';
import { domainToASCII } from 'node:url';
import type { NodemailerError } from 'nodemailer';
import type { Config } from '../config/index.ts';
import { fail, messageOf, ok, type Result } from '../lib/errors.ts';
import { notInTransaction } from '../lib/in-transaction.ts';
import { cut } from '../lib/storable.ts';

export interface MailSettings {
  /** Passed to nodemailer; the query of `url` may set its options, e.g. `?ignoreTLS=true`. */
  server:
    | { url: string; tls?: { rejectUnauthorized: false } }
    | { host: string; port: number; secure: boolean };
  /** For messages. */
  host: string;
  login: { user: string; pass: string } | undefined;
  from: string;
  to: string[];
  /** PUBLIC_URL's host, the first choice for EHLO. */
  publicHost?: string | undefined;
}

export interface Mail {
  /** Message-ID: a second copy after a crash has the same one, so mail programs can deduplicate. */
  id: string;
  subject: string;
  text: string;
  html: string;
}

/** An address that did not get the mail, with the server's reply, addresses removed. */
export interface Refusal {
  to: string;
  why: string;
  /** Not about this address: temporary, or about us as the sender. */
  unspecific: boolean;
}

/** Outcome of one mail per address. */
export interface Delivered {
  taken: string[];
  /** Rejected temporarily (4xx), or the connection broke during RCPT TO: the same mail is retried to each alone. */
  again: Refusal[];
  /** Rejected permanently (5xx). */
  refused: Refusal[];
}

export interface Mailer {
  /**
   * One SMTP session for all of `to`. Failure: always `transient`, since the server or the password may be fixed by the
   * next attempt; nobody has the mail then, so it may be composed anew.
   * @throws the signal's reason
   */
  send(mail: Mail, to: readonly string[], signal: AbortSignal): Promise<Result<Delivered>>;
  /**
   * Connects and logs in, without a mail, for doctor. Failures: `credentials`, `transient`.
   * @returns `noLogin`: we have a user and a password, but the server does not offer AUTH
   */
  verify(signal: AbortSignal): Promise<Result<'in' | 'noLogin'>>;
}

const GMAIL = { host: 'smtp.gmail.com', port: 465, secure: true };
const LOOPBACK = /^(localhost|127\.\d+\.\d+\.\d+|::1)$/;

/** C13: where mails go, or what is missing. SMTP_URL names the server; a sender with a password alone means Gmail's. */
export function mailSettings(config: Config): MailSettings | string {
  const { SMTP_URL, EMAIL_SENDER, EMAIL_PASSWORD, EMAIL_RECIPIENTS: to, PUBLIC_URL } = config;
  const publicHost = PUBLIC_URL ? new URL(PUBLIC_URL).hostname : undefined;
  const own = EMAIL_SENDER && EMAIL_PASSWORD ? { user: EMAIL_SENDER, pass: EMAIL_PASSWORD } : undefined;
  if (!SMTP_URL && !own)
    return 'no mail server configured: set SMTP_URL, or EMAIL_SENDER and EMAIL_PASSWORD for Gmail';
  if (to.length === 0) return 'no mail recipients configured: set EMAIL_RECIPIENTS';
  if (!SMTP_URL)
    return { server: GMAIL, host: GMAIL.host, login: own, from: own?.user ?? '', to, publicHost };
  const url = new URL(SMTP_URL);
  const host = url.hostname.replace(/^\[|\]$/g, '');
  const user = decodeURIComponent(url.username);
  // a relay on this machine has a self-signed certificate
  const tls = LOOPBACK.test(host) ? { tls: { rejectUnauthorized: false as const } } : {};
  return {
    server: { url: SMTP_URL, ...tls },
    host,
    login: user ? undefined : own,
    from: EMAIL_SENDER ?? (user.includes('@') ? user : `orderfleet@${host}`),
    ...{ to, publicHost },
  };
}

/**
 * The EHLO name. Strict relays reject a name without a dot, e.g. a container's, and nodemailer's fallback `[127.0.0.1]`;
 * they accept our own or the sender's domain. ?name of SMTP_URL overrides all of these: nodemailer reads the URL last.
 */
export function ehloName({ publicHost, host, from }: MailSettings): string | undefined {
  const domain = domainToASCII(from.split('@').at(-1) ?? '');
  // a sender address derived from the server's name would greet the server with its own name
  const names = [publicHost, hostname(), ...(domain === host ? [] : [domain])];
  return names.find(
    (name) => name !== undefined && /^[a-z0-9-]+(\.[a-z0-9-]+)*\.[a-z][a-z0-9-]*$/i.test(name),
  );
}

/** One connection per mail: they are minutes apart, and nothing is left open. */
export function createMailer(settings: MailSettings, timeoutMs: number): Mailer {
  const open = async () => {
    // loaded on first use: most processes never send a mail, and start sooner
    const { createTransport } = await import('nodemailer');
    const { progress, logger } = listener();
    const name = ehloName(settings);
    const transport = createTransport({
      ...(name ? { name } : {}),
      ...settings.server,
      ...(settings.login ? { auth: settings.login } : {}),
      ...{ logger, transactionLog: true },
      dnsTimeout: timeoutMs,
      connectionTimeout: timeoutMs,
      greetingTimeout: timeoutMs,
      socketTimeout: timeoutMs * 2, // a server may check a mail for spam before it says yes
      disableFileAccess: true,
      disableUrlAccess: true,
    });
    return { progress, transport };
  };
  return {
    async send(mail, to, signal) {
      notInTransaction('a mail');
      signal.throwIfAborted();
      const message = {
        ...{ from: { name: 'Orderfleet', address: settings.from }, to: settings.to },
        envelope: { from: settings.from, to: [...to] },
        ...{ subject: mail.subject, text: mail.text, html: mail.html },
        messageId: `<${mail.id}@orderfleet>`,
        // no "out of office" comes back for it (RFC 3834)
        headers: { 'Auto-Submitted': 'auto-generated' },
      };
      const { progress, transport } = await open();
      try {
        const { rejectedErrors } = await until(signal, transport.sendMail(message));
        return ok(byAddress(to, rejectedErrors));
      } catch (thrown) {
        signal.throwIfAborted();
        const error = thrown as NodemailerError;
        const why = `${settings.host} rejected the mail: ${withoutAddresses(error)}`;
        if (error.rejectedErrors) return ok(byAddress(to, error.rejectedErrors));
        // the connection broke: it may have arrived, and a single address may be what breaks it each time
        if (progress.named && error.command === 'CONN')
          return ok({
            taken: [],
            again: to.map((one) => ({ to: one, why, unspecific: false })),
            refused: [],
          });
        return fail('transient', why);
      }
    },
    async verify(signal) {
      const { progress, transport } = await open();
      try {
        await until(signal, transport.verify());
        const wanted = settings.login || ('url' in settings.server && new URL(settings.server.url).username);
        return ok(wanted && !progress.loggedIn ? 'noLogin' : 'in');
      } catch (error) {
        signal.throwIfAborted();
        return (error as NodemailerError).code === 'EAUTH'
          ? fail('credentials', `${settings.host} rejects the login: ${withoutAddresses(error)}`)
          : fail('transient', `${settings.host} cannot be reached: ${withoutAddresses(error)}`);
      }
    },
  };
}

/** How far a session got: nodemailer logs it, but its errors do not say. */
function listener() {
  const progress = { loggedIn: false, named: false };
  const observe = ({ tnx, action }: { tnx?: string; action?: string }, words: string) => {
    if (action === 'authenticated') progress.loggedIn = true;
    if (tnx === 'client' && words.startsWith('RCPT TO')) progress.named = true;
  };
  return { progress, logger: { debug: observe, info: observe, warn: observe, error: observe } };
}

/** Temporary by RFC 5321; 503 means a wrong order of commands. */
const isTemporary = ({ responseCode = 0 }: NodemailerError) => responseCode < 500 || responseCode === 503;

/** Authentication (530, 535, 538) or policy (x.7.x: relaying denied, a block list). */
const isAboutUs = ({ responseCode = 0, response = '' }: NodemailerError) =>
  [530, 535, 538].includes(responseCode) || /^\d{3}[ -]\d\.7\.\d/.test(response);

/** @param errors one per rejected address, with the address as nodemailer writes it */
function byAddress(to: readonly string[], errors: readonly NodemailerError[] = []): Delivered {
  const refusals = new Map(errors.map((error) => [asSent(error.recipient ?? ''), error]));
  const delivered: Delivered = { taken: [], again: [], refused: [] };
  for (const one of to) {
    const error = refusals.get(asSent(one));
    if (!error) {
      delivered.taken.push(one);
      continue;
    }
    const temporary = isTemporary(error);
    delivered[temporary ? 'again' : 'refused'].push({
      to: one,
      why: withoutAddresses(error.response),
      unspecific: temporary || isAboutUs(error),
    });
  }
  return delivered;
}

/** nodemailer lower-cases domains, and writes them in ASCII or Unicode. */
function asSent(address: string): string {
  const at = address.lastIndexOf('@');
  return `${address.slice(0, at)}@${domainToASCII(address.slice(at + 1))}`;
}

/** Mail servers repeat addresses in their replies. */
const withoutAddresses = (error: unknown) => cut(messageOf(error).replace(/[^\s<>@]+@[^\s<>@]+/g, '…'), 300);

/** The mail may still be sent after we stop waiting: its lease keeps it from being sent again at once. */
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
