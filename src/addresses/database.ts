import { userInfo } from 'node:os';
import { AddressError, hostList, noParameter, pairsOf, splitAddress } from './parts.ts';

/**
 * DATABASE_URL, parsed once for both drivers (postgres.js and pg), each of which reads an address in its own way. The
 * parameters are libpq's (https://www.postgresql.org/docs/current/libpq-connect.html), plus those of providers and
 * other libraries. Pure, and imports Node only: producers have it too (`orderfleet/client`).
 */
export interface DatabaseAddress {
  /** In the order in which they are tried; a host that begins with / is the directory of a Unix socket. */
  hosts: readonly DatabaseHost[];
  user: string;
  /** Undefined: none was given, and the drivers use PGPASSWORD. */
  password: string | undefined;
  database: string;
  tls: DatabaseTls;
  /** Which of the hosts is used: the first that answers, or the first that accepts writes. */
  wanted: 'any' | 'read-write' | 'primary';
  /** Shown in pg_stat_activity before the process' name. */
  applicationName: string;
  /** Session settings that are sent when it is opened; most poolers accept none of these. */
  startup: { options?: string; search_path?: string };
  /** For each host. */
  connectTimeoutMs: number;
}

export interface DatabaseHost {
  host: string;
  port: number;
}

export interface DatabaseTls {
  /** Never on a Unix socket. 'prefer': if the server can. */
  use: 'never' | 'prefer' | 'always';
  /** What is verified: nothing, who signed the certificate, and whether it is for this host. */
  verify: 'nothing' | 'signer' | 'signer and host';
  /** Files in PEM; without `ca` what Node trusts, NODE_EXTRA_CA_CERTS included. */
  files: { ca?: string; cert?: string; key?: string };
  passphrase?: string;
  minVersion?: string;
  /** TLS from the first byte (Postgres 17), without asking for it. */
  direct: boolean;
}

export const DATABASE_FORM = 'a URL starting with postgres:// or postgresql://';
const EXAMPLE =
  'as in postgres://user:password@host:5432/database; special characters in the password may have to be escaped (@ is %40, / is %2F, # is %23, ? is %3F)';

const SSL_MODES = ['disable', 'allow', 'prefer', 'require', 'verify-ca', 'verify-full', 'no-verify'];

/** Parameters of other clients that change nothing here, whatever their value. */
const HARMLESS = new Set([
  // Prisma; a pooler is detected (pooler.ts)
  ...['pgbouncer', 'connection_limit', 'pool_timeout', 'statement_cache_size'],
  // Supabase
  ...['supa', 'workaround'],
  // JDBC, lib/pq, pgx, asyncpg, SQLAlchemy
  ...['preparethreshold', 'binary_parameters', 'default_query_exec_mode', 'prepared_statement_cache_size'],
  ...['pool_size', 'max_overflow', 'pool_max_conns', 'pool_min_conns'],
  // node-postgres: sslmode is always read as libpq does
  'uselibpqcompat',
  // libpq: keep-alive of the socket, and what only its own TLS and Kerberos have
  ...['keepalives', 'keepalives_idle', 'keepalives_interval', 'keepalives_count', 'tcp_user_timeout'],
  ...['sslcompression', 'sslsni', 'krbsrvname', 'gsslib'],
]);

/** Parameters of which only these values are supported. */
const ONLY: Record<string, readonly string[]> = {
  gssencmode: ['disable', 'prefer'],
  client_encoding: ['utf8', 'utf-8', 'auto', 'unicode'],
  encoding: ['utf8', 'utf-8', 'unicode'],
  load_balance_hosts: ['disable'],
  sslnegotiation: ['postgres', 'direct'],
  sslmode: SSL_MODES,
  ssl: ['true', '1', 'on', 'require', 'false', '0', 'off', 'no-verify'],
  // Prisma's
  sslaccept: ['strict', 'accept_invalid_certs'],
  channel_binding: ['disable', 'prefer', 'require'],
  ssl_min_protocol_version: ['TLSv1', 'TLSv1.1', 'TLSv1.2', 'TLSv1.3'],
  // not 'standby' and the like: this program writes
  target_session_attrs: ['any', 'read-write', 'primary'],
};

const HONOURED = new Set([
  ...['host', 'port', 'user', 'password', 'dbname', 'application_name', 'fallback_application_name'],
  ...['sslrootcert', 'sslcert', 'sslkey', 'sslpassword', 'options', 'connect_timeout'],
  ...['schema', 'currentschema', 'search_path'],
]);

/** @throws AddressError what the address must look like instead */
export function parseDatabaseUrl(text: string): DatabaseAddress {
  const rest = restOf(text);
  const parts = rest === undefined ? undefined : splitAddress(rest);
  if (!parts) throw new AddressError(rest === undefined ? DATABASE_FORM : `${DATABASE_FORM}, ${EXAMPLE}`);
  const given = parameters(parts.query);
  const user = given.get('user') ?? parts.user ?? account();
  const applicationName = given.get('application_name') ?? given.get('fallback_application_name');
  const options = given.get('options');
  const schemas = searchPath(given);
  const hosts = hostsOf(parts.hosts, given);
  return {
    hosts,
    user,
    password: given.get('password') ?? parts.password,
    database: given.get('dbname') ?? (parts.path || user),
    tls: tlsOf(given),
    wanted: (given.get('target_session_attrs') ??
      (hosts.length > 1 ? 'read-write' : 'any')) as DatabaseAddress['wanted'],
    applicationName: applicationName ?? 'orderfleet',
    startup: { ...(options ? { options } : {}), ...(schemas ? { search_path: schemas } : {}) },
    connectTimeoutMs: seconds(given.get('connect_timeout')),
  };
}

function parameters(query: string): Map<string, string> {
  const given = new Map<string, string>();
  for (const [name, value] of pairsOf(query)) {
    const only = ONLY[name];
    const one = only?.find((allowed) => allowed.toLowerCase() === value.toLowerCase());
    if (only && one === undefined) throw new AddressError(`its ${name} to be one of ${only.join(', ')}`);
    if (!only && !HONOURED.has(name) && !HARMLESS.has(name))
      throw noParameter(name, ' (a setting of Postgres can be given to the role: ALTER ROLE … SET …)');
    if (value !== '') given.set(name, one ?? value);
  }
  return given;
}

const restOf = (text: string) => /^postgres(?:ql)?:\/\/(.*)$/s.exec(text)?.[1];

function hostsOf(authority: string, given: Map<string, string>): DatabaseHost[] {
  const named = given.get('host')?.split(',');
  const ports = given.get('port')?.split(',') ?? [];
  const pairs = named?.map((host) => ({ host, port: undefined })) ?? hostList(authority);
  return pairs.map(({ host, port }, index) => {
    const text = port ?? ports[index] ?? ports.at(-1) ?? '5432';
    const number = Number(text);
    if (!/^\d+$/.test(text) || number < 1 || number > 65_535)
      throw new AddressError('its ports to be numbers from 1 to 65535');
    return { host: host || 'localhost', port: number };
  });
}

/**
 * sslmode as libpq reads it; without it 'prefer'. Two differ on purpose:
 * - 'allow' (without TLS first) is read as 'prefer': both accept either, and this one tries the safer first.
 * - channel_binding=require proves that there is no man in the middle, which neither driver can do that way: instead
 *   the certificate is verified in full, which proves it as well.
 */
function tlsOf(given: Map<string, string>): DatabaseTls {
  const ca = given.get('sslrootcert');
  const system = ca === 'system';
  const bound = given.get('channel_binding') === 'require';
  const direct = given.get('sslnegotiation') === 'direct';
  const mode =
    given.get('sslmode') ?? modeOfOthers(given) ?? (system ? 'verify-full' : direct ? 'require' : 'prefer');
  if (bound && mode === 'disable')
    throw new AddressError('either sslmode=disable or channel_binding=require, which needs TLS');
  const weak = ['disable', 'allow', 'prefer'].includes(mode);
  if (direct && weak) throw new AddressError('sslnegotiation=direct with sslmode=require or stricter');
  const minVersion = given.get('ssl_min_protocol_version');
  const passphrase = given.get('sslpassword');
  const [cert, key] = [given.get('sslcert'), given.get('sslkey')];
  return {
    use: mode === 'disable' ? 'never' : weak && !bound ? 'prefer' : 'always',
    verify: bound ? 'signer and host' : verifyOf(mode, ca),
    files: { ...(ca && !system ? { ca } : {}), ...(cert ? { cert } : {}), ...(key ? { key } : {}) },
    ...(passphrase ? { passphrase } : {}),
    ...(minVersion ? { minVersion } : {}),
    direct,
  };
}

function verifyOf(mode: string, ca: string | undefined): DatabaseTls['verify'] {
  if (mode === 'verify-full' || (mode === 'require' && ca === 'system')) return 'signer and host';
  // libpq: a root certificate that is given is verified against
  return mode === 'verify-ca' || (mode === 'require' && ca) ? 'signer' : 'nothing';
}

/** `ssl=true` and Prisma's `sslaccept`. */
function modeOfOthers(given: Map<string, string>): string | undefined {
  const accept = given.get('sslaccept');
  if (accept) return accept === 'strict' ? 'verify-full' : 'require';
  const ssl = given.get('ssl')?.toLowerCase();
  if (ssl === undefined) return undefined;
  if (ssl === 'no-verify') return ssl;
  return ['false', '0', 'off'].includes(ssl) ? 'disable' : 'require';
}

/**
 * The address with PGSSLROOTCERT in it, unless it names root certificates itself: it is passed on alone, and must
 * describe the connection in full.
 */
export function withRootCert(text: string, file: string | undefined): string {
  const { query = '' } = splitAddress(restOf(text) ?? '') ?? {};
  if (!file || pairsOf(query).some(([name, value]) => name === 'sslrootcert' && value !== '')) return text;
  return `${text}${query ? '&' : text.endsWith('?') ? '' : '?'}sslrootcert=${encodeURIComponent(file)}`;
}

/** The schema of the tables, when not `public`: Prisma's and JDBC's name one schema, search_path may name several. */
function searchPath(given: Map<string, string>): string | undefined {
  const schema = given.get('schema') ?? given.get('currentschema');
  const path = given.get('search_path') ?? (schema && `"${schema.replaceAll('"', '""')}"`);
  return path === 'public' || path === '"public"' ? undefined : path;
}

const CONNECT_TIMEOUT_MS = 10_000;

function seconds(text: string | undefined): number {
  if (text === undefined) return CONNECT_TIMEOUT_MS;
  if (!/^-?\d{1,5}$/.test(text))
    throw new AddressError('its connect_timeout to be a whole number of seconds');
  // libpq: 0 and below wait for ever, which no process of ours may, and 1 means 2
  const value = Number(text);
  return value <= 0 ? CONNECT_TIMEOUT_MS : Math.max(2, value) * 1000;
}

/** Like libpq: the name of the account. In a container there may be none; then the server reports the unknown user. */
function account(): string {
  try {
    return userInfo().username;
  } catch {
    return 'postgres';
  }
}
