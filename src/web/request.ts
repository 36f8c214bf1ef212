import type { IncomingMessage } from 'node:http';
import { isIP, isIPv4 } from 'node:net';
import { getConnInfo } from '@hono/node-server/conninfo';
import type { Context } from 'hono';
import ipaddr from 'ipaddr.js';
import proxyaddr from 'proxy-addr';

/** True for names of this machine itself: localhost, 127.0.0.0/8, ::1. */
export const isLoopback = (host: string): boolean =>
  host.toLowerCase() === 'localhost' ||
  host === '::1' ||
  (isIPv4(host) && host.startsWith('127.')) ||
  (host.startsWith('::ffff:127.') && isIP(host) === 6);

/** The request's Host without port and brackets; empty without one. */
export function hostOf(c: Context): string {
  const host = c.req.header('host') ?? new URL(c.req.url).host;
  return /^\[([^\]]*)\](:\d+)?$/.exec(host)?.[1] ?? host.replace(/:\d*$/, '');
}

/** Whether the browser uses https, to us or to a proxy. A forged header here only costs the sender's own cookie. */
export const isHttps = (c: Context): boolean =>
  new URL(c.req.url).protocol === 'https:' ||
  c.req.header('x-forwarded-proto')?.split(',')[0]?.trim() === 'https';

/** Sent by one of our pages or by the user directly, not by another site's page (CSRF). Browsers send one of both headers. */
export function isSameOrigin(c: Context): boolean {
  const site = c.req.header('sec-fetch-site');
  if (site !== undefined) return site === 'same-origin';
  const origin = c.req.header('origin');
  if (origin === undefined || !URL.canParse(origin)) return false;
  // compares the host only: behind a proxy that terminates https, we see http
  return new URL(origin).host === (c.req.header('host') ?? new URL(c.req.url).host);
}

/** A browser that requests a page, as opposed to a script that requests data. */
export const wantsPage = (c: Context): boolean => (c.req.header('accept') ?? '').includes('text/html');

/** True when a proxy's headers say that it forwarded the request; a silent proxy cannot be detected. */
export const isProxied = (c: Context): boolean =>
  Object.keys(c.req.header()).some((name) => /^(forwarded|via|x-real-ip|x-forwarded-.*)$/.test(name));

/**
 * The client's address as a key for counting; for IPv6 its /56, which is what one connection gets.
 * @param trusted TRUSTED_PROXIES. Only their X-Forwarded-For is used: its last entry that is not a trusted proxy, or the
 * proxy itself if there is none. Earlier entries, and the header of any other client, may be forged.
 */
export function addressReader(trusted: readonly string[]): (c: Context) => string {
  const isProxy = proxyaddr.compile([...trusted]);
  return (c) => {
    const request = {
      headers: c.req.header(),
      socket: { remoteAddress: plain(peerOf(c)) },
    } as IncomingMessage;
    const address = proxyaddr.all(request, isProxy).map(plain).findLast(ipaddr.isValid);
    if (address === undefined) return 'unknown';
    const ip = ipaddr.process(address); // dual-stack sockets write IPv4 as ::ffff:192.0.2.1
    if (ip.kind() === 'ipv4') return ip.toString();
    return `${ipaddr.fromByteArray([...ip.toByteArray().slice(0, 7), ...Array(9).fill(0)])}/56`;
  };
}

/** Without the port (192.0.2.1:4711, [2001:db8::1]:4711) and the zone (fe80::1%eth0). */
const plain = (address: string) =>
  address
    .replace(/^([\d.]+):\d+$/, '$1')
    .replace(/^\[(.*)\](:\d+)?$/, '$1')
    .replace(/%.*$/, '');

/** Empty without one: a unix socket, or a request made in this process. */
function peerOf(c: Context): string {
  try {
    return getConnInfo(c).remote.address ?? '';
  } catch {
    return '';
  }
}

/** @returns the parsed body; undefined for invalid JSON or invalid UTF-8 (R4) */
export async function jsonOf(c: Context): Promise<unknown> {
  try {
    return JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(await c.req.arrayBuffer()));
  } catch {
    return undefined;
  }
}

/** @returns the form's fields; undefined for anything else, e.g. multipart/form-data without a boundary (R4) */
export async function fieldsOf(c: Context): Promise<Record<string, string | File> | undefined> {
  try {
    return await c.req.parseBody();
  } catch {
    return undefined;
  }
}

/**
 * Where to go after the login: a path of this site, or `/`. Browsers take `//evil.example` and `/\evil.example` for other
 * hosts.
 */
export function ownPath(next: string | undefined): string {
  const own = 'http://own.invalid';
  if (!next?.startsWith('/') || !URL.canParse(next, own)) return '/';
  const { origin, pathname, search, hash } = new URL(next, own);
  if (origin !== own || pathname.startsWith('//') || /^\/log(in|out)$/.test(pathname)) return '/';
  return pathname + search + hash;
}
