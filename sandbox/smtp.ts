import type { AddressInfo, Socket } from 'node:net';
import PostalMime, { type Email } from 'postal-mime';
import { SMTPServer, type SMTPServerOptions, type SMTPServerSession } from 'smtp-server';
import { createRecorder, type Recorder, type Recording } from './recorder.ts';

export interface Mail {
  /** From 1, in the order of arrival. */
  id: number;
  /** Epoch milliseconds. */
  at: number;
  /** The envelope, which is not the header's From and To. */
  envelope: { from: string; to: string[] };
  user: string | null;
  /** The client's EHLO name. */
  greeting: string;
  /** As received. */
  raw: string;
  parsed: Email;
}

type Stage = 'connect' | 'auth' | 'from' | 'rcpt' | 'data';

export interface SmtpTrouble {
  /** The stage; default data, when the whole mail has arrived. */
  at?: Stage;
  /** Rejects with this code (default 451) and text, or `drop`: cuts the connection silently. */
  drop?: boolean;
  code?: number;
  message?: string;
  /** How often; default: until `lift`. */
  times?: number;
  /** With `drop` at data: the mail is stored although the client gets no reply. */
  keep?: boolean;
  /** At rcpt: only this address; the mail's others are accepted. */
  recipient?: string;
}

export interface SmtpOptions {
  /** 0 (default): any free port. */
  port?: number;
  /** Accepted credentials; null: AUTH is not offered. */
  login?: { user: string; password: string } | null;
}

/** An SMTP server on loopback that stores every mail and forwards none. */
export interface Smtp {
  /** For SMTP_URL, with the credentials. */
  url: string;
  port: number;
  mails: Recording<Mail>;
  /** Connections and refusals, in order: `connect`, `auth`, `refused:auth:535`, `dropped:data`, `mail`. */
  events: Recording<string>;
  trouble(trouble: SmtpTrouble): void;
  lift(): void;
  /** Removes troubles, mails and events. */
  reset(): void;
  close(): Promise<void>;
}

const LOGIN = { user: 'reports@orderfleet.example', password: 'demo-smtp-password' };
const HOST = '127.0.0.1';
const BAD_LOGIN = 535;

/** Starts the server; throws when the port is taken. */
export async function startSmtp({ port = 0, login = LOGIN }: SmtpOptions = {}): Promise<Smtp> {
  const mails = createRecorder<Mail>('mails', 2_000);
  const events = createRecorder<string>('events of SMTP');
  const sockets = new Map<number, Socket>();
  const gate = createGate(sockets, events);
  const server = new SMTPServer({
    // A careful client would reject a self-signed certificate; loopback needs none.
    disabledCommands: login ? ['STARTTLS'] : ['STARTTLS', 'AUTH'],
    allowInsecureAuth: true,
    authOptional: !login,
    disableReverseLookup: true,
    closeTimeout: 100,
    ...stages(gate, login, mails, events),
  });
  // A client that disconnects is not a server error.
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
  /** Applies a trouble or calls `next`, which is not called after cutting the connection. */
  pass(stage: Stage, session: SMTPServerSession, next: (error?: Error) => void, recipient?: string): void;
  /** Whether to store the mail before cutting its connection. */
  keepsDropped(): boolean;
  clear(): void;
}

function createGate(sockets: ReadonlyMap<number, Socket>, events: Recorder<string>): Gate {
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

/** Handlers of the stages of an SMTP session. */
function stages(
  { pass, keepsDropped }: Gate,
  login: SmtpOptions['login'],
  mails: Recorder<Mail>,
  events: Recorder<string>,
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
