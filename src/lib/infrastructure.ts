/**
 * R10: errors of Postgres, Redis, TLS, DNS or the file system are infrastructure errors, unless known to be ours. They
 * consume no attempt and fail no job: the work is done once the store is available again.
 */

/**
 * SQLSTATE classes (https://www.postgresql.org/docs/current/errcodes-appendix.html) about our statements or data. All
 * others (connections, read-only, shutdown, resources, locks, configuration, logins, damage) are about the server.
 */
const OUR_SQL_CLASSES = new Set([
  ...['0A', '20', '21', '22', '23', '24', '27', '2F', '34', '38', '39', '42', '44', '54', 'P0'],
  'BM', // raised by BullMQ's own functions: about one job
]);
/** In those classes, but about the server: a role that lost its privileges. */
const SERVER_SQL_STATES = new Set(['42501']);

/** Redis error prefixes about what we sent. All others (READONLY, OOM, NOPERM, …) are about the server. */
const OUR_REDIS_WORDS = /^(WRONGTYPE|NOSCRIPT|EXECABORT|ERR)\b/;
/** An ERR that is about the server; Redis 6 wraps errors inside scripts: `… -OOM command not allowed …`. */
const REDIS_SERVER_ERR =
  /^ERR (max number of clients|unknown command|unknown subcommand|.*\b-?(READONLY|OOM|MISCONF|NOREPLICAS|NOPERM|NOAUTH|LOADING|BUSY|MASTERDOWN|CLUSTERDOWN|TRYAGAIN|MOVED|ASK|UNKILLABLE)\b )/;
/** A Redis error prefix in the message of an error that lost its class. */
const REDIS_WORD =
  /^(READONLY|OOM|MISCONF|NOREPLICAS|NOPERM|NOAUTH|WRONGPASS|LOADING|BUSY|MASTERDOWN|CLUSTERDOWN|TRYAGAIN|MOVED|UNBLOCKED) /;

/** The drivers' own codes for a connection that was lost or never made, and Node's for TLS and sockets. */
const CONNECTION_CODES =
  /^(CONNECT(ION)?_\w+|SASL_SIGNATURE_MISMATCH|ERR_(TLS|SSL|OSSL|SOCKET)_?\w*|ERR_STREAM_(DESTROYED|PREMATURE_CLOSE|WRITE_AFTER_END))$/;
/** OpenSSL's codes for a rejected certificate (https://nodejs.org/api/tls.html, "X509 certificate error codes"). */
const CERTIFICATE_CODES =
  /^(UNABLE_TO_\w+|CERT_\w+|CRL_\w+|DEPTH_ZERO_SELF_SIGNED_CERT|SELF_SIGNED_CERT_IN_CHAIN|ERROR_IN_\w+|OUT_OF_MEM|INVALID_CA|INVALID_PURPOSE|PATH_LENGTH_EXCEEDED|HOSTNAME_MISMATCH)$/;
/** Codes of the operating system: ECONNRESET, EMFILE, ENOSPC, EAI_AGAIN. Not EBADF, EINVAL: those are our bugs. */
const SYSTEM_CODES = /^E(?!BADF$|INVAL$|FAULT$|RR_|XIT)[A-Z]+(_[A-Z]+)?$/;

/** Driver errors without a code. */
const DRIVER_TEXT =
  /^Command timed out$|^Socket timeout\b|Connection (is closed|terminated|ended)|Client (has encountered a connection error|was closed)|Stream isn't writeable|maxRetriesPerRequest|timeout exceeded when trying to connect|^Query read timeout$|after calling end on the pool|does not support SSL connections|establishing an SSL connection|^All sentinels are unreachable|^Failed to refresh slots cache|^None of startup nodes is available|the database system is|^Client network socket disconnected/;

const isSqlState = (code: string) => /^[0-9A-Z]{5}$/.test(code) && /\d/.test(code);

function isTheirs(error: Error): boolean {
  const code = 'code' in error ? String(error.code) : '';
  if (isSqlState(code)) return !OUR_SQL_CLASSES.has(code.slice(0, 2)) || SERVER_SQL_STATES.has(code);
  if (error.name === 'ReplyError')
    return !OUR_REDIS_WORDS.test(error.message) || REDIS_SERVER_ERR.test(error.message);
  return (
    SYSTEM_CODES.test(code) ||
    CONNECTION_CODES.test(code) ||
    CERTIFICATE_CODES.test(code) ||
    REDIS_WORD.test(error.message) ||
    DRIVER_TEXT.test(error.message)
  );
}

/** True when a store, the network or the machine was down, full or refusing: it consumes no attempt (R2, R10). */
export const isInfrastructureFault = (error: unknown): boolean =>
  withCauses(error).some(
    (one) => isTheirs(one) || (one instanceof AggregateError && one.errors.some(isInfrastructureFault)),
  );

/** Rolled back in favour of another transaction (deadlock 40P01, serialization failure 40001): retry at once. */
export const isMomentary = (error: unknown): boolean =>
  withCauses(error).some((one) => 'code' in one && /^40(001|P01)$/.test(String(one.code)));

function withCauses(error: unknown): Error[] {
  const found: Error[] = [];
  for (let one = error; one instanceof Error && found.length < 5; one = one.cause) found.push(one);
  return found;
}
