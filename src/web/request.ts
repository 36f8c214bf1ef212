import { BlockList, isIP, isIPv4 } from 'node:net';
import { getConnInfo } from '@hono/node-server/conninfo';
import type { Context } from 'hono';

/** True for names of this machine itself: localhost, 127.0.0.0/8, ::1. Other names may lead anywhere. */
export const isLoopback = (host: string): boolean =>
  host.toLowerCase() === 'localhost' ||
  host === '::1' ||
  (isIPv4(host) && host.startsWith('127.')) ||
  (host.startsWith('::ffff:127.') && isIP(host) === 6);

/** The host that the request names, without port and brackets; empty when it names none. */
export function hostOf(c: Context): string {
  const host = c.req.header('host') ?? new URL(c.req.url).host;
  return /^\[([^\]]*)\](:\d+)?$/.exec(host)?.[1] ?? host.replace(/:\d*$/, '');
}

/** Whether the browser speaks https, to us or to a proxy before us. Believing a header here costs a liar his own cookie. */
export const isHttps = (c: Context): boolean =>
  new URL(c.req.url).protocol === 'https:' ||
  c.req.header('x-forwarded-proto')?.split(',')[0]?.trim() === 'https';

/** A page of ours sent it, or the person itself did: no other site's page (CSRF). Every browser sends one of the two. */
export function isSameOrigin(c: Context): boolean {
  const site = c.req.header('sec-fetch-site');
  if (site !== undefined) return site === 'same-origin';
  const origin = c.req.header('origin');
  if (origin === undefined || !URL.canParse(origin)) return false;
  // the host alone: behind a proxy that ends https our own side of it is http
  return new URL(origin).host === (c.req.header('host') ?? new URL(c.req.url).host);
}

/** A person's browser that asks for a page, as opposed to a script that asks for data. */
export const wantsPage = (c: Context): boolean => (c.req.header('accept') ?? '').includes('text/html');

/** True when a proxy has passed the request on and says so; one that says nothing cannot be told from its client. */
export const isProxied = (c: Context): boolean =>
  Object.keys(c.req.header()).some((name) => /^(forwarded|via|x-real-ip|x-forwarded-.*)$/.test(name));

/**
 * Who asks, as a key for counting: the address; of IPv6 the /56, since a home's line has all of one.
 * @param trusted TRUSTED_PROXIES. What one of them says in X-Forwarded-For is believed: its last entry that is none of
 * them itself counts. What stands before that came from outside and may be anything, as is the whole header of
 * everybody else.
 */
export function addressReader(trusted: readonly string[]): (c: Context) => string {
  const proxies = new BlockList();
  for (const network of trusted) {
    const [address = '', bits] = network.split('/');
    if (bits === undefined) proxies.addAddress(address, familyOf(address));
    else proxies.addSubnet(address, Number(bits), familyOf(address));
  }
  const isProxy = (address: string) => isIP(address) !== 0 && proxies.check(address, familyOf(address));
  return (c) => {
    const heardFrom = (c.req.header('x-forwarded-for') ?? '').split(',').map((one) => plain(one.trim()));
    let address = plain(peerOf(c));
    while (isProxy(address) && isIP(heardFrom.at(-1) ?? '') !== 0) address = heardFrom.pop() ?? address;
    return isIP(address) === 6 ? `${network56(address)}::/56` : address;
  };
}

const familyOf = (address: string) => (isIPv4(address) ? 'ipv4' : 'ipv6');

/** IPv4 as such, also where a socket for both writes ::ffff:192.0.2.1; IPv6 without the zone (fe80::1%eth0). */
const plain = (address: string) => address.replace(/^::ffff:(?=\d+\.)/i, '').replace(/%.*$/, '');

function peerOf(c: Context): string {
  try {
    return getConnInfo(c).remote.address ?? 'unknown';
  } catch {
    return 'unknown'; // no socket: a request made in this process
  }
}

function network56(address: string): string {
  const [head = '', tail] = address.split('::');
  const groups = head === '' ? [] : head.split(':');
  const rest = tail === undefined ? 0 : tail.split(':').filter(Boolean).length;
  while (tail !== undefined && groups.length + rest < 8) groups.push('0');
  const numbers = groups.slice(0, 4).map((group) => Number.parseInt(group, 16));
  numbers.push((numbers.pop() ?? 0) & 0xff00);
  return numbers.map((number) => number.toString(16)).join(':');
}

/** @returns what the body says; undefined for what is no JSON, also by its bytes (R4): a bad one is never guessed at */
export async function jsonOf(c: Context): Promise<unknown> {
  try {
    return JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(await c.req.arrayBuffer()));
  } catch {
    return undefined;
  }
}

/** @returns the fields of a form; undefined for what is none, e.g. multipart/form-data without a boundary (R4) */
export async function fieldsOf(c: Context): Promise<Record<string, string | File> | undefined> {
  try {
    return await c.req.parseBody();
  } catch {
    return undefined;
  }
}

/**
 * Where to go after the login: a path of this site, or `/`.
 * `//evil.example`, `/\evil.example` and their kind lead elsewhere in a browser.
 */
export function ownPath(next: string | undefined): string {
  const own = 'http://own.invalid';
  if (!next?.startsWith('/') || !URL.canParse(next, own)) return '/';
  const { origin, pathname, search, hash } = new URL(next, own);
  if (origin !== own || pathname.startsWith('//') || /^\/log(in|out)$/.test(pathname)) return '/';
  return pathname + search + hash;
}
