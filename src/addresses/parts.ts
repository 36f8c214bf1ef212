/**
 * What addresses of Postgres and Redis have in common. Pure, and imports nothing: producers have it too
 * (`orderfleet/client`).
 */

/** What an address must look like instead, to be read after "expected"; it contains no password. */
export class AddressError extends Error {
  override name = 'AddressError';
}

/** What comes after `scheme://`. */
export interface AddressParts {
  user: string | undefined;
  password: string | undefined;
  /** As written: for `hostList`. */
  hosts: string;
  /** Without its first /. */
  path: string;
  query: string;
}

/** A host name, an IPv4 or [IPv6] address or a socket's directory (%2Frun%2Fpostgresql), and a port. */
const HOST = String.raw`(?:\[[0-9A-Fa-f:.%\w]+\]|(?:[\w.-]|%[0-9A-Fa-f]{2})*)(?::\d*)?`;
const AFTER_USER = new RegExp(String.raw`^(${HOST}(?:,${HOST})*)(?:/([^?#@]*))?(?:\?([^#]*))?$`);

/**
 * The password may contain characters that should have been escaped, as %40 and the like. By the rules the user part
 * ends at the last @ before the first of / ? #; where that gives no valid address, at the last @ after which one
 * does.
 * @returns undefined when none does
 */
export function splitAddress(rest: string): AddressParts | undefined {
  const authority = /^[^/?#]*/.exec(rest)?.[0] ?? '';
  const signs = [...rest.matchAll(/@/g)].map(({ index }) => index).reverse();
  for (const at of [authority.lastIndexOf('@'), ...signs]) {
    const found = AFTER_USER.exec(rest.slice(at + 1));
    if (!found) continue;
    const [name, ...password] = at < 0 ? [] : rest.slice(0, at).split(':');
    return {
      user: name ? decode(name) : undefined,
      password: password.length > 0 ? decode(password.join(':')) : undefined,
      hosts: found[1] ?? '',
      path: decode(found[2] ?? ''),
      query: found[3] ?? '',
    };
  }
  return undefined;
}

/** A missing host is '', a missing port undefined. */
export function hostList(hosts: string): { host: string; port: string | undefined }[] {
  return hosts.split(',').map((one) => {
    const [, host = '', port] = /^(\[[^\]]*\]|[^:]*)(?::(\d*))?$/.exec(one) ?? [];
    return { host: decode(host.replace(/^\[(.*)\]$/, '$1')), port: port || undefined };
  });
}

/** A % that begins no escape stays as it is. */
export function decode(text: string): string {
  return text.replace(/(?:%[0-9A-Fa-f]{2})+/g, (signs) => {
    try {
      return decodeURIComponent(signs);
    } catch {
      return signs;
    }
  });
}

/** The pairs of a query, with lower-case names: libraries write them either way. */
export const pairsOf = (query: string): [name: string, value: string][] =>
  query
    .split('&')
    .filter(Boolean)
    .map((pair) => {
      const [name = '', ...value] = pair.split('=');
      return [decode(name).toLowerCase(), decode(value.join('='))];
    });

export const noParameter = (name: string, more = '') =>
  new AddressError(
    `no parameter ${JSON.stringify(name.slice(0, 40))}, which has no meaning here: leave it out${more}`,
  );
