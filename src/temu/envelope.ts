import { type Failure, fail, messageOf, ok, type Result } from '../lib/errors.ts';
import { cut, storable } from '../lib/storable.ts';
import { classOf, type ErrorClass } from './error-classes.ts';
import { parseExact } from './json.ts';

export interface TemuRefusal {
  errorClass: ErrorClass;
  code: number;
  /** Temu's own message; of both levels when both refused. */
  message: string;
}

export type TemuAnswer = { kind: 'ok'; result: unknown } | { kind: 'refused'; refusal: TemuRefusal };

const isObject = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

/** Messages are part of an index of order_errors, limited to 2,700 bytes. */
const MAX_MESSAGE = 800;

const textOf = (level: Record<string, unknown>) =>
  typeof level.errorMsg === 'string' && level.errorMsg !== ''
    ? level.errorMsg
    : `Temu error ${codeOf(level) ?? 'without a code'}`;

/** R4: an object here may have a field `toString`, at which Number() and templates throw. */
const codeOf = ({ errorCode }: Record<string, unknown>) =>
  typeof errorCode === 'object' ? undefined : errorCode;

/**
 * T18: Temu's messages are shown, logged and kept, even where they contain a buyer's email address or phone number.
 * Numbers without a plus sign are orders, parcels and SKUs.
 */
const withoutContacts = (text: string) =>
  text.replace(/[^\s<>@"']+@[^\s<>@"']+/g, '…').replace(/\+\d[\d ()./-]{5,25}\d/g, '…');

/**
 * Reads either envelope (T15): `{success, errorCode, errorMsg, result}` with the payload in `result` or in
 * `result.result`; both success flags count. Text that is not such an object is a `malformed` failure.
 */
export function readEnvelope(text: string): Result<TemuAnswer> {
  let body: unknown;
  try {
    body = parseExact(text);
  } catch (error) {
    const shown = text.trimStart().startsWith('<')
      ? 'an HTML page'
      : `invalid JSON (${cut(messageOf(error), 80)})`;
    return fail('malformed', `Temu returned ${shown}`);
  }
  if (!isObject(body) || typeof body.success !== 'boolean')
    return fail('malformed', 'Temu returned JSON without its envelope (no "success")');

  const inner = isObject(body.result) && typeof body.result.success === 'boolean' ? body.result : undefined;
  const refusing = [body, inner].filter((level) => level !== undefined && level.success === false);
  const first = refusing[0];
  if (!first) return ok({ kind: 'ok', result: inner ? inner.result : body.result });

  const code = Number(codeOf(first));
  const message = storable(
    withoutContacts(
      [...new Set(refusing.map((level) => textOf(level as Record<string, unknown>)))]
        .join('; ')
        .slice(0, 2 * MAX_MESSAGE), // so that no contact is cut in half
    ).slice(0, MAX_MESSAGE),
  );
  return ok({ kind: 'refused', refusal: { errorClass: classOf(code, message), code, message } });
}

/** How a refusal is handled, after the client has tried its own remedies (another host, the server's clock). */
const KIND_OF: Record<ErrorClass, Failure['kind']> = {
  throttle: 'throttled',
  transient: 'transient',
  notReady: 'notReady',
  credentials: 'credentials',
  scope: 'scope',
  bug: 'bug',
  clock: 'credentials', // our clock is off for every call of the store: somebody must set it
  wrongRegion: 'credentials',
  sellerMustAct: 'sellerMustAct',
  alreadyDone: 'alreadyDone',
  terminal: 'rejected',
};

export const failureOf = ({ errorClass, code, message }: TemuRefusal): Failure => ({
  kind: KIND_OF[errorClass],
  code,
  message,
});
