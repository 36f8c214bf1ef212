import type { AddressInfo } from 'node:net';
import PostalMime, { type Email } from 'postal-mime';
import { SMTPServer } from 'smtp-server';

/** A mail server on loopback that keeps what it takes. */
export interface Mailbox {
  url: string;
  mails: Email[];
  /** Whom the last mail was handed over for. */
  recipients: string[];
  /** Why the next mails are refused; taken from the front. */
  refusals: string[];
  logins: { user: unknown; password: unknown }[];
  close(): Promise<void>;
}

export async function startMailbox(): Promise<Mailbox> {
  const server = new SMTPServer({
    authOptional: true,
    disabledCommands: ['STARTTLS'],
    allowInsecureAuth: true,
    onAuth(auth, _, done) {
      mailbox.logins.push({ user: auth.username, password: auth.password });
      done(null, { user: String(auth.username) });
    },
    onData(stream, session, done) {
      const chunks: Buffer[] = [];
      stream.on('data', (chunk: Buffer) => chunks.push(chunk));
      stream.on('end', async () => {
        const refusal = mailbox.refusals.shift();
        if (refusal !== undefined) return done(Object.assign(new Error(refusal), { responseCode: 451 }));
        const mail = await PostalMime.parse(Buffer.concat(chunks));
        mailbox.mails.push(mail);
        mailbox.recipients = session.envelope.rcptTo.map(({ address }) => address);
        done();
      });
    },
  });
  server.on('error', () => {}); // a client that goes away in the middle
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const mailbox: Mailbox = {
    url: `smtp://127.0.0.1:${(server.server.address() as AddressInfo).port}`,
    mails: [],
    recipients: [],
    refusals: [],
    logins: [],
    close: () => new Promise<void>((resolve) => server.close(() => resolve())),
  };
  return mailbox;
}
