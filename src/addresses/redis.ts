import { AddressError, hostList, noParameter, pairsOf, splitAddress } from './parts.ts';

/**
 * REDIS_URL, parsed once for the fleet, the doctor and producers (`orderfleet/client`). Pure, and imports only
 * ./parts.
 */
export interface RedisAddress {
  /** One server, one found through Sentinels, or a cluster. */
  kind: 'single' | 'sentinel' | 'cluster';
  /** The server, the Sentinels, or the nodes from which the others are discovered. */
  nodes: readonly RedisNode[];
  /** A Unix socket instead. */
  path?: string;
  /** The Sentinels' name for the primary. */
  primary?: string;
  user?: string;
  password?: string;
  sentinelUser?: string;
  sentinelPassword?: string;
  database: number;
  tls?: RedisTls;
  /** 4 or 6 for one address family, 0 for both. */
  family?: number;
}

export interface RedisNode {
  host: string;
  port: number;
}

export interface RedisTls {
  /** Files in PEM; without `ca` what Node trusts, NODE_EXTRA_CA_CERTS included. */
  files: { ca?: string; cert?: string; key?: string };
  verify: 'nothing' | 'signer' | 'signer and host';
}

export const REDIS_FORM = 'a URL starting with redis:// or rediss://';
const EXAMPLES =
  'as in redis://user:password@host:6379/0, redis+sentinel://host1:26379,host2:26379/mymaster or redis+cluster://host1:6379,host2:6379; special characters in the password may have to be escaped (@ is %40, / is %2F, # is %23, ? is %3F)';

const SCHEMES: Record<string, Pick<RedisAddress, 'kind'> & { tls?: true; socket?: true }> = {
  redis: { kind: 'single' },
  rediss: { kind: 'single', tls: true },
  valkey: { kind: 'single' },
  valkeys: { kind: 'single', tls: true },
  unix: { kind: 'single', socket: true },
  'redis+unix': { kind: 'single', socket: true },
  'redis+socket': { kind: 'single', socket: true },
  'redis+sentinel': { kind: 'sentinel' },
  'redis-sentinel': { kind: 'sentinel' },
  'rediss+sentinel': { kind: 'sentinel', tls: true },
  'rediss-sentinel': { kind: 'sentinel', tls: true },
  'redis+cluster': { kind: 'cluster' },
  'redis-cluster': { kind: 'cluster' },
  'rediss+cluster': { kind: 'cluster', tls: true },
  'rediss-cluster': { kind: 'cluster', tls: true },
};

/** redis-py's names for TLS, the most widely known ones. */
const HONOURED = new Set([
  ...['db', 'family', 'sentinelusername', 'sentinelpassword'],
  ...['ssl_ca_certs', 'ssl_certfile', 'ssl_keyfile', 'ssl_cert_reqs', 'ssl_check_hostname'],
]);
/** Parameters of other clients that change nothing here. */
const HARMLESS = new Set([
  ...['protocol', 'client_name', 'clientname', 'decode_responses', 'encoding', 'max_connections'],
  ...['timeout', 'socket_timeout', 'socket_connect_timeout', 'socket_keepalive', 'health_check_interval'],
  ...['retry_on_timeout', 'sockettimeout', 'connecttimeout', 'keepalive', 'pool_size', 'virtual_host'],
]);

/** @throws AddressError what the address must look like instead */
export function parseRedisUrl(text: string): RedisAddress {
  const [, scheme = '', rest = ''] = /^([\w+-]+):\/\/(.*)$/s.exec(text) ?? [];
  const form = SCHEMES[scheme.toLowerCase()];
  if (!form) throw new AddressError(REDIS_FORM);
  const parts = splitAddress(rest);
  if (!parts) throw new AddressError(`${REDIS_FORM}, ${EXAMPLES}`);
  const given = parameters(parts.query);
  const nodes = hostList(parts.hosts);
  // several servers in one address can only be a cluster's
  const kind = form.kind === 'single' && nodes.length > 1 ? 'cluster' : form.kind;
  const { primary, database } = readPath(kind, form.socket ? '' : parts.path, given);
  return {
    kind,
    nodes: form.socket ? [] : nodes.map(({ host, port }) => nodeOf(host, port, kind)),
    ...(form.socket ? { path: `/${parts.path}` } : {}),
    ...(primary ? { primary } : {}),
    ...(parts.user ? { user: parts.user } : {}),
    ...(parts.password ? { password: parts.password } : {}),
    ...(given.has('sentinelusername') ? { sentinelUser: given.get('sentinelusername') ?? '' } : {}),
    ...(given.has('sentinelpassword') ? { sentinelPassword: given.get('sentinelpassword') ?? '' } : {}),
    database,
    ...(form.tls ? { tls: tlsOf(given) } : {}),
    ...(given.has('family') ? { family: whole(given.get('family'), 'family', 6) } : {}),
  };
}

function nodeOf(host: string, port: string | undefined, kind: RedisAddress['kind']): RedisNode {
  const number = Number(port ?? (kind === 'sentinel' ? 26_379 : 6379));
  if (number < 1 || number > 65_535) throw new AddressError('its ports to be numbers from 1 to 65535');
  return { host: host || 'localhost', port: number };
}

/** The path is the database; for Sentinels the primary's name comes before it. */
function readPath(kind: RedisAddress['kind'], path: string, given: Map<string, string>) {
  const steps = path.split('/').filter(Boolean);
  const primary = kind === 'sentinel' ? steps.shift() : undefined;
  if (kind === 'sentinel' && !primary)
    throw new AddressError(
      'the name that the Sentinels have for the primary, as in redis+sentinel://host1:26379,host2:26379/mymaster',
    );
  if (steps.length > 1) throw new AddressError(`${REDIS_FORM}, ${EXAMPLES}`);
  const database = whole(steps[0] ?? given.get('db') ?? '0', 'database', 1_000_000);
  if (kind === 'cluster' && database !== 0)
    throw new AddressError('database 0, or none: a cluster has no other');
  return { primary, database };
}

function whole(text: string | undefined, what: string, most: number): number {
  const value = Number(text);
  if (!text || !/^\d+$/.test(text) || value > most)
    throw new AddressError(`its ${what} to be a number from 0 to ${most}`);
  return value;
}

function parameters(query: string): Map<string, string> {
  const given = new Map<string, string>();
  for (const [name, value] of pairsOf(query)) {
    if (!HONOURED.has(name) && !HARMLESS.has(name)) throw noParameter(name);
    if (value !== '') given.set(name, value);
  }
  return given;
}

function tlsOf(given: Map<string, string>): RedisTls {
  const [ca, cert, key] = ['ssl_ca_certs', 'ssl_certfile', 'ssl_keyfile'].map((name) => given.get(name));
  const wanted = (given.get('ssl_cert_reqs') ?? 'required').toLowerCase().replace(/^cert_/, '');
  if (!['none', 'optional', 'required'].includes(wanted))
    throw new AddressError('its ssl_cert_reqs to be one of none, optional, required');
  const host = (given.get('ssl_check_hostname') ?? 'true').toLowerCase();
  if (!['true', 'false'].includes(host)) throw new AddressError('its ssl_check_hostname to be true or false');
  return {
    files: { ...(ca ? { ca } : {}), ...(cert ? { cert } : {}), ...(key ? { key } : {}) },
    verify: wanted === 'none' ? 'nothing' : host === 'false' ? 'signer' : 'signer and host',
  };
}
