import { describe, expect, test } from 'vitest';
import courier from '../../../src/tracking/couriers/cargus.ts';
import { connect, failure, items, NOW, PERSONAL, recorded, recordedText, scan } from './reading.ts';

const AWB = '804400017';
/** A winter's time in Bucharest. */
const at = (local: string, zone = '+02:00') => new Date(`${local}${zone}`);
const env = { CARGUS_USERNAME: 'user', CARGUS_PASSWORD: 'pass', CARGUS_SUBSCRIPTION_KEY: 'key' };

type Event = readonly [id: unknown, date?: string | null | undefined, description?: string];
const row = (events: readonly Event[]) => ({
  Code: AWB,
  Event: events.map(([EventId, time = '2026-03-03T10:00:00', Description = '']) => ({
    ...{ EventId, Date: time, Description, LocalityName: 'BUCURESTI' },
  })),
});
const said = (events: readonly Event[]) => scan(courier, [row(events)], AWB);

describe('C6: event ids', () => {
  test.each([146, 213, 7, 113, 299])('%i is unmapped', (id) => {
    expect(said([[id, undefined, 'Eveniment ']])).toMatchObject({
      rawStatus: String(id),
      courierStatus: `${id} Eveniment`,
      means: undefined,
    });
  });
  test('an unmapped one leaves what was before', () => {
    const events: Event[] = [[5], [146, '2026-03-03T12:00:00', 'Livrat partial']];
    expect(said(events)).toMatchObject({ means: undefined, before: { means: 'out_for_delivery' } });
  });
  test.each([70, 72, 73, 234])('%i is the pickup', (id) => {
    expect(said([[id], [21, '2026-03-04T10:00:00']]).pickedUpAt).toEqual(at('2026-03-03T10:00:00'));
  });
});

describe('E2, E6: the history', () => {
  test('a cash payout keeps the delivery and its time', () => {
    expect(said([[21], [25, '2026-03-05T10:00:00']])).toMatchObject({
      rawStatus: '21',
      means: 'delivered',
      at: at('2026-03-03T10:00:00'),
    });
  });
  test('a refusal is not final', () => {
    expect(said([[161], [5, '2026-03-04T10:00:00']]).means).toBe('out_for_delivery');
  });
  test('newest first, and twice', () => {
    expect(said([[21, '2026-03-04T10:00:00'], [234], [234]])).toMatchObject({ means: 'delivered' });
  });
  test('summer, winter, and the hour that comes twice', () => {
    expect(said([[10, '2025-08-04T10:00:00.5']]).at).toEqual(at('2025-08-04T10:00:00.500', '+03:00'));
    const night: Event[] = [
      [10, '2025-10-26T03:50:00'],
      [11, '2025-10-26T03:10:00.127'],
    ];
    expect(said(night)).toMatchObject({ rawStatus: '11', at: at('2025-10-26T03:10:00.127', '+02:00') });
    expect(said(night.slice(0, 1)).at).toEqual(at('2025-10-26T03:50:00', '+03:00'));
  });
});

describe('E8: what an HTTP status means', () => {
  const of = (text: string, status: number, what: 'login' | 'tracking') =>
    courier.failureOf?.({ status, headers: {}, text }, what)?.kind;
  test('a wrong password is a 500, at the login alone', () => {
    for (const text of [
      recordedText('cargus.auth-error.login.json'),
      '{"Message":"An error has occurred."}',
    ]) {
      expect(of(text, 500, 'login')).toBe('credentials');
      expect(of(text, 500, 'tracking')).toBeUndefined();
    }
  });
  test('the gateway’s own 500, a page and other statuses are an outage', () => {
    expect(of('{"statusCode":500,"message":"Internal server error"}', 500, 'login')).toBeUndefined();
    for (const text of ['', '<html>']) expect(of(text, 500, 'login')).toBeUndefined();
    for (const status of [502, 503, 504]) expect(of('"Failed!"', status, 'login')).toBeUndefined();
  });
  test('a quota is no refusal', () => {
    const text =
      '{"statusCode":403,"message":"Out of call volume quota. Quota will be replenished in 00:10:00."}';
    expect(of(text, 403, 'login')).toBe('throttled');
    expect(of(text, 403, 'tracking')).toBe('throttled');
    expect(of('{"statusCode":403,"message":"Forbidden"}', 403, 'login')).toBeUndefined();
    expect(of(recordedText('cargus.auth-error.key.json'), 401, 'login')).toBeUndefined();
  });
  test('C10: over the limit, with the time to wait', () => {
    expect(failure(courier, recorded('cargus.over-limit.json'), ['1'])).toMatchObject({
      retryAfterMs: 2_000,
    });
  });
});

describe('C11: the login', () => {
  const read = (text: string, status = 200) =>
    connect(courier, env)?.access.login?.read({
      status,
      headers: { date: new Date(NOW).toUTCString() },
      text,
    });
  test('a bare text, for a day', () => {
    expect(read(recordedText('cargus.login.ok.json'))).toEqual({
      ok: true,
      value: { value: 'REDACTEDREDACTEDREDACTED', expiresAt: new Date(NOW + 86_400_000) },
    });
  });
  test.each([
    [recordedText('cargus.auth-error.login.json'), 200, 'credentials'],
    [recordedText('cargus.auth-error.key.json'), 401, 'credentials'],
    ['"Unauthorized"', 200, 'credentials'],
    ['{"Message":"The request is invalid."}', 400, 'credentials'],
    ['""', 200, 'malformed'],
    ['"ok"', 200, 'malformed'],
    ['null', 200, 'malformed'],
    ['<html>', 200, 'malformed'],
  ])('%s (%i): %s', (text, status, kind) => {
    expect(read(text, status)).toMatchObject({ ok: false, failure: { kind } });
  });
});

test('T18: no person in a failure either', () => {
  const [name, phone] = PERSONAL;
  const body = [{ ConfirmationName: name, Observation: phone, Message: name }, 'Eroare'];
  expect(failure(courier, body, ['1']).message).toBe('Cargus returned "Eroare"');
});

test('R3: a broken row costs only itself', () => {
  const body = [7, null, { Code: {}, Event: 'x' }, row([[21], [null], [{}]])];
  expect(items(courier, body, [AWB, 'X'])).toMatchObject({ [AWB]: { means: 'delivered' } });
});
