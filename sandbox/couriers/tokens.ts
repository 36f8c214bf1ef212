import { createHmac, timingSafeEqual } from 'node:crypto';
import type { SandboxClock } from '../temu/world.ts';

/** An account's login behaviour; may be changed while the sandbox runs. */
export interface AccountSettings {
  user: string;
  password: string;
  /** A token's lifetime. */
  tokenSeconds: number;
  /** Wrong logins after which the account is locked, and for how long. */
  lockAfter: number;
  lockSeconds: number;
  /** A new token invalidates earlier ones. */
  revokesEarlier: boolean;
}

export type TokenCheck = 'ok' | 'expired' | 'unknown';

export interface Account {
  settings: AccountSettings;
  login(user: unknown, password: unknown): { token: string; expiresAt: number } | 'wrong' | 'locked';
  /** A valid token, without a login. */
  issue(seconds?: number): string;
  check(token: string | undefined): TokenCheck;
  /** Invalidates all tokens issued so far. */
  revoke(): void;
  unlock(): void;
  locked(): boolean;
}

interface Claims {
  user_name: string;
  /** Unix seconds. */
  iat: number;
  exp: number;
  /** Increases with every token. */
  serial: number;
}

/** One user of an API. Tokens are signed, so that they stay valid when the sandbox restarts. */
export function createAccount(name: string, clock: SandboxClock, settings: AccountSettings): Account {
  const secret = `sandbox ${name}`;
  let lastSerial = 0;
  let validFrom = 0;
  let wrong = 0;
  let lockedUntil = 0;

  const issue = (seconds = settings.tokenSeconds): string => {
    // Microseconds since 1970 increase across restarts too.
    lastSerial = Math.max(lastSerial + 1, Date.now() * 1000);
    if (settings.revokesEarlier) validFrom = lastSerial;
    const iat = clock.now() / 1000;
    const exp = iat + seconds;
    const claims: Claims = {
      user_name: settings.user,
      iat: Math.floor(iat),
      // Whole seconds, except for short lifetimes in tests.
      exp: seconds < 60 ? exp : Math.floor(exp),
      serial: lastSerial,
    };
    return sign(claims, secret);
  };
  return {
    settings,
    issue,
    login: (user, password) => {
      const now = clock.now();
      if (now < lockedUntil) return 'locked';
      if (user !== settings.user || password !== settings.password) {
        wrong++;
        if (wrong >= settings.lockAfter) {
          wrong = 0;
          lockedUntil = now + settings.lockSeconds * 1000;
        }
        return 'wrong';
      }
      wrong = 0;
      const token = issue();
      return { token, expiresAt: now + settings.tokenSeconds * 1000 };
    },
    check: (token) => {
      const claims = token === undefined ? undefined : verified(token, secret);
      if (!claims || claims.serial < validFrom) return 'unknown';
      return claims.exp * 1000 <= clock.now() ? 'expired' : 'ok';
    },
    revoke: () => {
      lastSerial = Math.max(lastSerial + 1, Date.now() * 1000);
      validFrom = lastSerial + 1;
      lastSerial = validFrom;
    },
    unlock: () => {
      wrong = 0;
      lockedUntil = 0;
    },
    locked: () => clock.now() < lockedUntil,
  };
}

function base64(value: unknown): string {
  return Buffer.from(JSON.stringify(value)).toString('base64url');
}

/** A JWT (HS256), as real ones look. */
function sign(claims: Claims, secret: string): string {
  const text = `${base64({ alg: 'HS256', typ: 'JWT' })}.${base64(claims)}`;
  return `${text}.${signature(text, secret)}`;
}

function signature(text: string, secret: string): string {
  return createHmac('sha256', secret).update(text).digest('base64url');
}

function verified(token: string, secret: string): Claims | undefined {
  const [head, body, tail] = token.split('.');
  if (head === undefined || body === undefined || tail === undefined) return undefined;
  const [own, given] = [Buffer.from(signature(`${head}.${body}`, secret)), Buffer.from(tail)];
  if (own.length !== given.length || !timingSafeEqual(own, given)) return undefined;
  return JSON.parse(Buffer.from(body, 'base64url').toString()) as Claims;
}

/** The secret of an Authorization header; `scheme` null: the header is the secret itself. */
export function secretOf(header: string | undefined, scheme: 'Token' | 'Bearer' | null): string | undefined {
  if (header === undefined) return undefined;
  if (scheme === null) return /\s/.test(header) ? undefined : header;
  return header.startsWith(`${scheme} `) ? header.slice(scheme.length + 1) : undefined;
}
