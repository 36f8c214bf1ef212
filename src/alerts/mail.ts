import { hostname } from 'node:os';
import { domainToASCII } from 'node:url';
import type { NodemailerError } from 'nodemailer';
import type { Config } from '../config.ts';
import { fail, messageOf, ok, type Result } from '../errors.ts';
import { notInTransaction } from '../in-transaction.ts';
import { cut } from '../storable.ts';

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
  /** PUBLIC_URL's host, by which servers are greeted first. */
  publicHost?: string | undefined;
}

export interface Mail {
  /** Names the mail: a second copy after a crash has the same one, by which mail programs tell doubles. */
  id: string;
  subject: string;
  text: string;
  html: string;
}

/** An address that did not get the mail, with the server's words about it, without addresses. */
export interface Refusal {
  to: string;
  why: string;
  /** Nothing in it is about this address: for the moment, or for who we are. */
  unspecific: boolean;
}

/** What became of one mail, address by address. */
export interface Delivered {
  taken: string[];
  /** Refused for the moment (4xx), or the connection broke while they were named: the same mail again, to each alone. */
  again: Refusal[];
  /** Refused for good (5xx). */
  refused: Refusal[];
}

export interface Mailer {
  /**
   * One conversation for all of `to`. Failure: `transient` whatever it is, since the next try may find the server or the
   * password put right; nobody has the mail then, and it may as well be composed anew. The message says why.
   * @throws the signal's reason
   */
  send(mail: Mail, to: readonly string[], signal: AbortSignal): Promise<Result<Delivered>>;
  /**
   * Connects and logs in, without a mail, for doctor. Failures: `credentials`, `transient`.
   * @returns `noLogin`: we have a user and a password, and the server offers no way to log in (AUTH)
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
  if (to.length === 0) return 'nobody gets mails: set EMAIL_RECIPIENTS';
  if (!SMTP_URL)
    return { server: GMAIL, host: GMAIL.host, login: own, from: own?.user ?? '', to, publicHost };
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
    ...{ to, publicHost },
  };
}

/**
 * How a server is greeted (EHLO). Strict relays refuse a name without a dot, a container's for instance, and what nodemailer
 * says instead, `[127.0.0.1]`; ours or the sender's domain they take. ?name of SMTP_URL is somebody's choice and counts
 * before all of these: nodemailer reads the URL last.
 */
export function greeting({ publicHost, host, from }: MailSettings): string | undefined {
  const domain = domainToASCII(from.split('@').at(-1) ?? '');
  // a sender that was made from the server's name would greet the server by its own
  const names = [publicHost, hostname(), ...(domain === host ? [] : [domain])];
  return names.find(
    (name) => name !== undefined && /^[a-z0-9-]+(\.[a-z0-9-]+)*\.[a-z][a-z0-9-]*$/i.test(name),
  );
}

/** One connection per mail: they are minutes apart, and nothing is left open. */
export function createMailer(settings: MailSettings, timeoutMs: number): Mailer {
  const open = async () => {
    // loaded by whoever has a mail to send: most processes never do, and they start the sooner
    const { createTransport } = await import('nodemailer');
    const { heard, logger } = listener();
    const name = greeting(settings);
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
    return { heard, transport };
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
      const { heard, transport } = await open();
      try {
        const { rejectedErrors } = await until(signal, transport.sendMail(message));
        return ok(byAddress(to, rejectedErrors));
      } catch (thrown) {
        signal.throwIfAborted();
        const error = thrown as NodemailerError;
        const why = `${settings.host} does not take the mail: ${withoutAddresses(error)}`;
        if (error.rejectedErrors) return ok(byAddress(to, error.rejectedErrors));
        // cut off before the last word: it may have arrived, and one address may be what breaks the connection each time
        if (heard.named && error.command === 'CONN')
          return ok({
            taken: [],
            again: to.map((one) => ({ to: one, why, unspecific: false })),
            refused: [],
          });
        return fail('transient', why);
      }
    },
    async verify(signal) {
      const { heard, transport } = await open();
      try {
        await until(signal, transport.verify());
        const wanted = settings.login || ('url' in settings.server && new URL(settings.server.url).username);
        return ok(wanted && !heard.loggedIn ? 'noLogin' : 'in');
      } catch (error) {
        signal.throwIfAborted();
        return (error as NodemailerError).code === 'EAUTH'
          ? fail('credentials', `${settings.host} does not let us in: ${withoutAddresses(error)}`)
          : fail('transient', `${settings.host} cannot be spoken to: ${withoutAddresses(error)}`);
      }
    },
  };
}

/** How far a conversation has come, which nodemailer's errors do not say, but what it logs. */
function listener() {
  const heard = { loggedIn: false, named: false };
  const hear = ({ tnx, action }: { tnx?: string; action?: string }, words: string) => {
    if (action === 'authenticated') heard.loggedIn = true;
    if (tnx === 'client' && words.startsWith('RCPT TO')) heard.named = true;
  };
  return { heard, logger: { debug: hear, info: hear, warn: hear, error: hear } };
}

/** Temporary by RFC 5321; 503 is about the order of commands. */
const forTheMoment = ({ responseCode = 0 }: NodemailerError) => responseCode < 500 || responseCode === 503;

/** No login (530, 535, 538), or a policy (x.7.x: no relaying, a block list). */
const forWhoWeAre = ({ responseCode = 0, response = '' }: NodemailerError) =>
  [530, 535, 538].includes(responseCode) || /^\d{3}[ -]\d\.7\.\d/.test(response);

/** @param errors one for each address that was refused, under the name that nodemailer gives it */
function byAddress(to: readonly string[], errors: readonly NodemailerError[] = []): Delivered {
  const refusals = new Map(errors.map((error) => [asSent(error.recipient ?? ''), error]));
  const delivered: Delivered = { taken: [], again: [], refused: [] };
  for (const one of to) {
    const error = refusals.get(asSent(one));
    if (!error) {
      delivered.taken.push(one);
      continue;
    }
    const momentary = forTheMoment(error);
    delivered[momentary ? 'again' : 'refused'].push({
      to: one,
      why: withoutAddresses(error.response),
      unspecific: momentary || forWhoWeAre(error),
    });
  }
  return delivered;
}

/** nodemailer writes domains in small letters, and in ASCII or in Unicode. */
function asSent(address: string): string {
  const at = address.lastIndexOf('@');
  return `${address.slice(0, at)}@${domainToASCII(address.slice(at + 1))}`;
}

/** Mail servers repeat addresses and a login's text in what they say. */
const withoutAddresses = (error: unknown) => cut(messageOf(error).replace(/[^\s<>@]+@[^\s<>@]+/g, '…'), 300);

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
