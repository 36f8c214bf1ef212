import type { AddressInfo, Socket } from 'node:net';
import PostalMime, { type Email } from 'postal-mime';
import { SMTPServer, type SMTPServerOptions, type SMTPServerSession } from 'smtp-server';
import { createKeeper, type Keeper, type Kept } from './kept.ts';

export interface Mail {
  /** From 1, in the order of arrival. */
  id: number;
  /** Epoch milliseconds. */
  at: number;
  /** The envelope, which is not the header's From and To. */
  envelope: { from: string; to: string[] };
  user: string | null;
  /** As what the client introduced itself (EHLO). */
  greeting: string;
  /** As it came over the wire. */
  raw: string;
  parsed: Email;
}

type Stage = 'connect' | 'auth' | 'from' | 'rcpt' | 'data';

export interface SmtpTrouble {
  /** Where it strikes; default data, when the whole mail has arrived. */
  at?: Stage;
  /** Refuses with this code (default 451) and text, or `drop`: cuts the connection without a word. */
  drop?: boolean;
  code?: number;
  message?: string;
  /** How often; default: until it is lifted. */
  times?: number;
  /** With `drop` at data: the mail is kept although the client never hears of it. */
  keep?: boolean;
  /** At rcpt: strikes this address alone; the others of the mail are taken. */
  recipient?: string;
}

export interface SmtpOptions {
  /** 0 (default): any free port. */
  port?: number;
  /** Credentials that are accepted; null: no login is offered. */
  login?: { user: string; password: string } | null;
}

/** An SMTP server on loopback that sends nothing on and keeps every mail. */
export interface Smtp {
  /** As SMTP_URL takes it, with the credentials. */
  url: string;
  port: number;
  mails: Kept<Mail>;
  /** Connections and refusals, in order: `connect`, `auth`, `refused:auth:535`, `dropped:data`, `mail`. */
  events: Kept<string>;
  trouble(trouble: SmtpTrouble): void;
  lift(): void;
  /** Troubles are lifted, mails and events forgotten. */
  reset(): void;
  close(): Promise<void>;
}

const LOGIN = { user: 'reports@orderfleet.example', password: 'demo-smtp-password' };
const HOST = '127.0.0.1';
const BAD_LOGIN = 535;

/** Starts the server; throws when the port is taken. */
export async function startSmtp({ port = 0, login = LOGIN }: SmtpOptions = {}): Promise<Smtp> {
  const mails = createKeeper<Mail>('mails', 2_000);
  const events = createKeeper<string>('events of SMTP');
  const sockets = new Map<number, Socket>();
  const gate = createGate(sockets, events);
  const server = new SMTPServer({
    // Its own certificate would be refused by a careful client; loopback needs none.
    disabledCommands: login ? ['STARTTLS'] : ['STARTTLS', 'AUTH'],
    allowInsecureAuth: true,
    authOptional: !login,
    disableReverseLookup: true,
    closeTimeout: 100,
    ...stages(gate, login, mails, events),
  });
  // A client that goes away in the middle is no failure of the server's.
  server.on('error', () => undefined);
  server.server.on('connection', (socket: Socket) => {
    const { remotePort } = socket;
    if (remotePort === undefined) return;
    sockets.set(remotePort, socket);
    socket.once('close', () => sockets.delete(remotePort));
  });
  const bound = await listening(server, port);
  const credentials = login ? `${encodeURIComponent(login.user)}:${encodeURIComponent(login.password)}@` : '';
  return {
    url: `smtp://${credentials}${HOST}:${bound}`,
    port: bound,
    mails,
    events,
    trouble: gate.trouble,
    lift: gate.clear,
    reset: () => {
      gate.clear();
      mails.clear();
      events.clear();
    },
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        for (const socket of sockets.values()) socket.destroy();
      }),
  };
}

interface Gate {
  trouble(trouble: SmtpTrouble): void;
  /** Lets a stage pass or be struck; `next` is not called when the connection was cut. */
  pass(stage: Stage, session: SMTPServerSession, next: (error?: Error) => void, recipient?: string): void;
  /** Whether the mail is to be kept before its connection is cut. */
  keepsDropped(): boolean;
  clear(): void;
}

function createGate(sockets: ReadonlyMap<number, Socket>, events: Keeper<string>): Gate {
  let troubles: (SmtpTrouble & { left: number })[] = [];
  const next = (stage: Stage, address?: string) =>
    troubles.find(
      ({ at = 'data', left, recipient }) =>
        at === stage && left > 0 && (recipient === undefined || recipient === address),
    );
  return {
    trouble: (trouble) => void troubles.push({ ...trouble, left: trouble.times ?? Number.POSITIVE_INFINITY }),
    pass: (stage, session, done, recipient) => {
      const trouble = next(stage, recipient);
      if (!trouble) return done();
      trouble.left--;
      if (trouble.drop) {
        events.add(`dropped:${stage}`);
        sockets.get(session.remotePort)?.destroy();
        return;
      }
      const { code = 451, message = 'Requested action aborted: local error in processing' } = trouble;
      events.add(`refused:${stage}:${code}`);
      done(refusal(code, message));
    },
    keepsDropped: () => {
      const trouble = next('data');
      return trouble?.drop === true && trouble.keep === true;
    },
    clear: () => {
      troubles = [];
    },
  };
}

function refusal(responseCode: number, message: string): Error {
  return Object.assign(new Error(message), { responseCode });
}

type Stages = Pick<SMTPServerOptions, 'onConnect' | 'onAuth' | 'onMailFrom' | 'onRcptTo' | 'onData'>;

/** What happens at each stage of a conversation. */
function stages(
  { pass, keepsDropped }: Gate,
  login: SmtpOptions['login'],
  mails: Keeper<Mail>,
  events: Keeper<string>,
): Stages {
  let lastId = 0;
  const keep = async (raw: Buffer, session: SMTPServerSession): Promise<void> => {
    mails.add(mailOf(++lastId, raw, session, await PostalMime.parse(raw)));
    events.add('mail');
  };
  const received = async (raw: Buffer, session: SMTPServerSession): Promise<void> => {
    if (keepsDropped()) await keep(raw, session);
    await new Promise<void>((resolve, reject) =>
      pass('data', session, (error) => (error ? reject(error) : resolve())),
    );
    await keep(raw, session);
  };
  return {
    onConnect: (session, done) => {
      events.add('connect');
      pass('connect', session, done);
    },
    onAuth: (given, session, done) =>
      pass('auth', session, (error) => {
        if (error) return done(error);
        const known = given.username === login?.user && given.password === login?.password;
        events.add(known ? 'auth' : `refused:auth:${BAD_LOGIN}`);
        if (known) done(null, { user: given.username });
        else done(refusal(BAD_LOGIN, 'Username and Password not accepted'));
      }),
    onMailFrom: (_, session, done) => pass('from', session, done),
    onRcptTo: ({ address }, session, done) => pass('rcpt', session, done, address),
    onData: (stream, session, done) => {
      const chunks: Buffer[] = [];
      stream.on('data', (chunk: Buffer) => chunks.push(chunk));
      stream.once('end', () => received(Buffer.concat(chunks), session).then(() => done(), done));
    },
  };
}

function mailOf(
  id: number,
  raw: Buffer,
  { envelope, user, hostNameAppearsAs }: SMTPServerSession,
  parsed: Email,
): Mail {
  const { mailFrom, rcptTo } = envelope;
  return {
    id,
    at: Date.now(),
    envelope: { from: mailFrom ? mailFrom.address : '', to: rcptTo.map(({ address }) => address) },
    user: user ?? null,
    greeting: hostNameAppearsAs || '',
    raw: raw.toString('utf8'),
    parsed,
  };
}

function listening(server: SMTPServer, port: number): Promise<number> {
  return new Promise((resolve, reject) => {
    server.server.once('error', reject);
    server.listen(port, HOST, () => {
      server.server.off('error', reject);
      resolve((server.server.address() as AddressInfo).port);
    });
  });
}
