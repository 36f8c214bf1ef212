import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { isIP, Socket } from 'node:net';
import { Duplex } from 'node:stream';
import { type ConnectionOptions, connect as connectTls, type SecureVersion } from 'node:tls';
import type { DatabaseAddress, DatabaseHost, DatabaseTls } from '../addresses/database.ts';

export interface WireOptions {
  /**
   * Whether a reachable host is of the required kind: asked on a connection of its own, since that is only known
   * after the login.
   */
  fits?: ((host: DatabaseHost) => Promise<boolean>) | undefined;
  /** Creates the socket that is then connected. */
  makeSocket?: (() => Socket) | undefined;
}

/**
 * A connection to Postgres as both drivers take one: to the first of the hosts that answers and fits, with TLS as the
 * address requires. The drivers' own ways differ (pg verifies where libpq does not and supports one host; postgres.js
 * tries unreachable hosts for ever), so neither is used. It imports Node only: producers have it too
 * (`orderfleet/client`).
 */
export class Wire extends Duplex {
  readonly #address: DatabaseAddress;
  readonly #how: WireOptions;
  readonly #gone = new AbortController();
  /** The stream in use: with TLS it is not the connected socket. */
  #inner: Socket | undefined;
  /** The pending action once there is a connection: at most one write, since a stream passes on one at a time. */
  #begin: (() => void) | undefined;

  constructor(address: DatabaseAddress, how: WireOptions = {}) {
    super({ allowHalfOpen: false, emitClose: false });
    this.#address = address;
    this.#how = how;
  }

  /** pg calls it, with the first host of the address. */
  connect(): this {
    this.#dial().then(
      (socket) => this.#adopt(socket),
      (error) => this.destroy(error),
    );
    return this;
  }

  /** Like a socket's; postgres.js reads it when it closes. */
  get readyState(): 'opening' | 'open' | 'closed' {
    return this.destroyed ? 'closed' : this.#inner ? 'open' : 'opening';
  }

  setKeepAlive(on?: boolean, initialDelayMs?: number): this {
    return this.#onceOpen((socket) => socket.setKeepAlive(on, initialDelayMs));
  }
  setTimeout(ms: number): this {
    return this.#onceOpen((socket) => socket.setTimeout(ms));
  }
  /** Always on: small messages leave at once. */
  setNoDelay(): this {
    return this;
  }
  ref(): this {
    return this.#onceOpen((socket) => socket.ref());
  }
  unref(): this {
    return this.#onceOpen((socket) => socket.unref());
  }

  #onceOpen(act: (socket: Socket) => void): this {
    if (this.#inner) act(this.#inner);
    else if (!this.destroyed) this.once('connect', () => this.#inner && act(this.#inner));
    return this;
  }

  async #dial(): Promise<Socket> {
    const { hosts } = this.#address;
    let last: unknown;
    for (const host of hosts) {
      try {
        if (this.#how.fits && !(await this.#how.fits(host))) {
          last = new Error(`${nameOf(host)} does not accept writes, but target_session_attrs requires it`);
          continue;
        }
        const socket = this.#how.makeSocket?.() ?? new Socket();
        return await open(socket, host, this.#address, this.#gone.signal);
      } catch (error) {
        last = error;
        if (this.#gone.signal.aborted) break;
      }
    }
    throw last;
  }

  #adopt(socket: Socket) {
    if (this.destroyed) return void socket.destroy();
    this.#inner = socket;
    let heard = false;
    socket.on('data', (chunk) => {
      heard = true;
      if (!this.push(chunk)) socket.pause();
    });
    socket.on('timeout', () => this.emit('timeout'));
    socket.on('error', (error) => this.destroy(error));
    // to postgres.js an end before the login is no failure, and it reconnects for ever
    const ended = () => void this.destroy(heard ? undefined : closedAtOnce());
    socket.on('end', () => (heard ? this.push(null) : ended()));
    socket.on('close', ended);
    this.emit('connect');
    this.#begin?.();
  }

  override _read() {
    this.#inner?.resume();
  }

  /** Statements that are sent along with one another leave in one packet: a write costs more than most statements do. */
  override write(...args: unknown[]): boolean {
    if (this.writableCorked === 0) {
      this.cork();
      process.nextTick(() => this.uncork());
    }
    return super.write(...(args as [unknown]));
  }

  override _write(chunk: Buffer, _encoding: BufferEncoding, done: (error?: Error | null) => void) {
    if (this.#inner) this.#inner.write(chunk, done);
    else this.#begin = () => this.#inner?.write(chunk, done);
  }

  /** A statement is several messages: they leave together, as pg corks them. */
  override _writev(chunks: { chunk: Buffer }[], done: (error?: Error | null) => void) {
    this._write(Buffer.concat(chunks.map(({ chunk }) => chunk)), 'binary', done);
  }

  override _final(done: () => void) {
    if (this.#inner) this.#inner.end(done);
    else done();
  }

  override _destroy(error: Error | null, done: (error?: Error | null) => void) {
    this.#gone.abort();
    this.#inner?.destroy();
    done(error);
    // after 'error', and with hadError like a socket: postgres.js backs off after errors
    process.nextTick(() => this.emit('close', error !== null));
  }
}

const nameOf = ({ host, port }: DatabaseHost) =>
  host.startsWith('/') ? `${host}/.s.PGSQL.${port}` : `${isIP(host) === 6 ? `[${host}]` : host}:${port}`;

/** @throws Error that names the host, with a code like a socket's error */
async function open(
  socket: Socket,
  host: DatabaseHost,
  address: DatabaseAddress,
  gone: AbortSignal,
): Promise<Socket> {
  const opening = new AbortController();
  const giveUp = () => opening.abort();
  const timer = setTimeout(giveUp, address.connectTimeoutMs);
  gone.addEventListener('abort', giveUp);
  try {
    // as an option of connect Node 20 ignores it: a statement of two writes then waits 40 ms for the ACK of the first
    socket.setNoDelay(true);
    socket.connect(placeOf(host));
    await heard(socket, 'connect', opening.signal);
    if (host.host.startsWith('/') || address.tls.use === 'never') return socket;
    return await secured(socket, host, address.tls, opening.signal);
  } catch (error) {
    throw told(error, host, opening.signal.aborted && address.connectTimeoutMs);
  } finally {
    clearTimeout(timer);
    gone.removeEventListener('abort', giveUp);
  }
}

const placeOf = (host: DatabaseHost) => (host.host.startsWith('/') ? { path: nameOf(host) } : { ...host });

/** The arguments of the event. When it cannot come any more the socket is destroyed. */
async function heard(socket: Socket, event: string, signal: AbortSignal): Promise<unknown[]> {
  const settled = new AbortController();
  const either = AbortSignal.any([signal, settled.signal]);
  const closed = async () => {
    await once(socket, 'close', { signal: either });
    throw new Error('it closes the connection at once');
  };
  try {
    return (await Promise.race([once(socket, event, { signal: either }), closed()])) as unknown[];
  } catch (error) {
    socket.on('error', () => {}); // later errors do not matter
    socket.destroy();
    throw error;
  } finally {
    settled.abort();
  }
}

/** The message SSLRequest; the response is one byte, S or N. */
const SSL_REQUEST = Buffer.from([0, 0, 0, 8, 4, 210, 22, 47]);

async function secured(
  socket: Socket,
  host: DatabaseHost,
  tls: DatabaseTls,
  signal: AbortSignal,
): Promise<Socket> {
  if (!tls.direct) {
    socket.write(SSL_REQUEST);
    const [bytes] = await heard(socket, 'data', signal);
    const answer = (bytes as Buffer).toString('latin1');
    if (answer === 'N' && tls.use === 'prefer') return socket;
    // more than the one byte would come from a man in the middle (CVE-2021-23222)
    if (answer !== 'S') {
      socket.destroy();
      throw new Error(
        answer === 'N' ? 'it has no TLS, but sslmode requires it' : 'it does not speak the Postgres protocol',
      );
    }
  }
  const secure = connectTls(tlsOptions(socket, host.host, tls));
  await heard(secure, 'secureConnect', signal);
  return secure;
}

function tlsOptions(socket: Socket, host: string, tls: DatabaseTls): ConnectionOptions {
  const files = Object.entries(tls.files).map(([name, file]) => [name, readFileSync(file)]);
  return {
    socket,
    // the certificate's names are checked against it; SNI must not be an IP address
    host,
    ...(isIP(host) === 0 ? { servername: host } : {}),
    // read anew for each connection: certificates are renewed while we run
    ...Object.fromEntries(files),
    ...(tls.passphrase === undefined ? {} : { passphrase: tls.passphrase }),
    ...(tls.minVersion === undefined ? {} : { minVersion: tls.minVersion as SecureVersion }),
    ...(tls.direct ? { ALPNProtocols: ['postgresql'] } : {}),
    rejectUnauthorized: tls.verify !== 'nothing',
    ...(tls.verify === 'signer' ? { checkServerIdentity: () => undefined } : {}),
  };
}

const closedAtOnce = () =>
  Object.assign(new Error('Postgres, or the pooler in front of it, closes connections at once'), {
    code: 'ECONNRESET',
  });

/** What Node and OpenSSL call an untrusted certificate. */
const UNTRUSTED = /CERT|UNABLE_TO_|SELF_SIGNED/;
const NETWORK = /^(ECONN\w+|EPIPE|ETIMEDOUT|EHOSTUNREACH|ENETUNREACH|ENOTFOUND|EAI_AGAIN)$/;

function told(error: unknown, host: DatabaseHost, timeoutMs: number | false): Error {
  // a name with several addresses fails with one error for each
  const first = error instanceof AggregateError ? error.errors[0] : error;
  const code = first instanceof Error && 'code' in first ? String(first.code) : '';
  const message = first instanceof Error ? first.message : String(first);
  const why = timeoutMs
    ? `no answer within ${timeoutMs / 1000} s`
    : UNTRUSTED.test(code)
      ? `its certificate is not trusted (${message}): set its CA with sslrootcert in DATABASE_URL, or with PGSSLROOTCERT`
      : message;
  // without the cause, which adds nothing; with a code that means "Postgres is away"
  return Object.assign(new Error(`Postgres at ${nameOf(host)}: ${why}`), {
    code: timeoutMs ? 'ETIMEDOUT' : NETWORK.test(code) ? code : 'ECONNREFUSED',
  });
}
