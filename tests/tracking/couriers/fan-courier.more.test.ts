import { describe, expect, test } from 'vitest';
import courier from '../../../src/tracking/couriers/fan-courier.ts';
import { connect, items, NOW, recordedText, scan } from './reading.ts';

const AWB = '2150000000024';
/** A time in Bucharest: winter's, or summer's with +03:00. */
const at = (local: string, zone = '+02:00') => new Date(`${local}${zone}`);

type Event = readonly [id: string, date: string | null, name?: string];
const row = (events: readonly Event[], more: object = {}) => ({
  awbNumber: AWB,
  events: events.map(([id, date, name = '']) => ({ id, name, location: 'Bucuresti', date })),
  ...more,
});
const said = (events: readonly Event[], more: object = {}) =>
  scan(courier, { data: [row(events, more)] }, AWB);
const env = {
  FAN_COURIER_USERNAME: 'user',
  FAN_COURIER_PASSWORD: 'pass',
  FAN_COURIER_CLIENT_ID: '7032158',
};

describe('C6: ids', () => {
  test.each(['S17', 'S26', 'S99', 'X1', '2'])('%s is not published: unmapped', (id) => {
    expect(said([[id, '2026-03-03 10:00:00']])).toMatchObject({ rawStatus: id, means: undefined });
  });
  test('an unmapped newest one leaves what was before', () => {
    const events: Event[] = [
      ['S1', '2026-03-03 09:00:00'],
      ['S99', '2026-03-03 10:00:00', 'Nou'],
    ];
    expect(said(events)).toMatchObject({
      rawStatus: 'S99',
      courierStatus: 'S99 Nou',
      means: undefined,
      before: { means: 'out_for_delivery' },
    });
  });
  test('duplicates and days of attempts end with the newest', () => {
    const day = (date: number): Event[] => [
      ['C1', `2026-03-0${date} 08:39:00`],
      ['S1', `2026-03-0${date} 08:39:00`],
      ['S12', `2026-03-0${date} 17:00:00`],
    ];
    const depot: Event[] = [
      ['H12', '2026-03-02 07:00:00'],
      ['H12', '2026-03-02 07:00:04'],
    ];
    expect(said([...depot, ...day(2), ...day(3)])).toMatchObject({ means: 'ndr' });
    const events: Event[] = [...depot, ...day(2), ...day(3), ['S2', '2026-03-04 12:00:00']];
    expect(said(events)).toMatchObject({ means: 'delivered', deliveredAt: at('2026-03-04T12:00:00') });
    expect(said([...events].reverse())).toMatchObject({ means: 'delivered' });
  });
  test('a refusal is not final', () => {
    const events: Event[] = [
      ['S6', '2026-03-03 12:00:00'],
      ['S1', '2026-03-04 09:00:00'],
    ];
    expect(said(events)).toMatchObject({ means: 'out_for_delivery' });
  });
});

describe('E2: times', () => {
  test('in the hour that comes twice, the order of the events decides', () => {
    const events: Event[] = [
      ['H0', '2025-10-26 03:20:00'],
      ['H1', '2025-10-26 03:50:00'],
      ['H3', '2025-10-26 03:10:00'],
    ];
    expect(said(events)).toMatchObject({ rawStatus: 'H3', at: at('2025-10-26T03:10:00', '+02:00') });
    expect(said(events.slice(0, 2))).toMatchObject({ at: at('2025-10-26T03:50:00', '+03:00') });
  });
  test('delivered without a time: when it was signed for', () => {
    const more = { confirmation: { name: 'X', date: '2026-03-03 13:55' } };
    expect(
      said(
        [
          ['S1', '2026-03-03 09:00:00'],
          ['S2', null],
        ],
        more,
      ),
    ).toMatchObject({
      means: 'delivered',
      deliveredAt: at('2026-03-03T13:55:00'),
    });
  });
});

describe('E4: other numbers', () => {
  const back = { returnAwbNumber: 2150000000932 };
  test('a return’s number means a return, whatever the last event says', () => {
    expect(said([['S6', '2026-03-03 12:31:07', 'Refuz primire']], back)).toMatchObject({
      rawStatus: 'RETURN_AWB',
      courierStatus: 'S6 Refuz primire',
      means: 'rto_in_transit',
      at: at('2026-03-03T12:31:07'),
      links: [{ is: 'return', number: '2150000000932' }],
    });
    expect(courier.meaning('RETURN_AWB')).toBe('rto_in_transit');
  });
  test('what is delivered and did not turn back has none', () => {
    expect(said([['S2', '2026-03-03 12:00:00']], back)).toMatchObject({ means: 'delivered' });
    expect(said([['S2', '2026-03-03 12:00:00']], back)).not.toHaveProperty('links');
  });
  test('E5: delivered behind a return is rto, and the number is kept', () => {
    const events: Event[] = [
      ['S33', '2026-03-03 12:00:00'],
      ['S2', '2026-03-05 12:00:00'],
    ];
    expect(said(events, back)).toMatchObject({ means: 'rto', links: [{ is: 'return' }] });
  });
  test('a redirection goes on to the buyer', () => {
    const more = { redirectionAwbNumber: '2150000000949' };
    expect(said([['S9', '2026-03-03 12:00:00']], more)).toMatchObject({
      means: 'in_transit',
      links: [{ is: 'redirection', number: '2150000000949' }],
    });
  });
});

describe('answers', () => {
  test('R3: a broken row costs only itself', () => {
    const body = { data: [7, null, { awbNumber: {}, events: 'x' }, row([['S2', '2026-03-03 10:00:00']])] };
    expect(items(courier, body, [AWB, 'X'])).toMatchObject({ [AWB]: { means: 'delivered' } });
  });
  test('"not registered" is not registered', () => {
    const body = { data: [{ awbNumber: AWB, message: 'AWB-ul nu este inregistrat' }] };
    expect(items(courier, body, [AWB])).toMatchObject({ [AWB]: { is: 'notFound' } });
  });
  test.each(['AWB-ul a fost înregistrat', 'The AWB has been registerd by sender'])('%s', (message) => {
    expect(items(courier, { data: [{ awbNumber: AWB, message }] }, [AWB])).toMatchObject({
      [AWB]: { means: 'pending' },
    });
  });
});

describe('C11: the login', () => {
  const read = (text: string, status = 200, now = NOW) =>
    connect(courier, env)?.access.login?.read({
      status,
      headers: { date: new Date(now).toUTCString() },
      text,
    });
  test('E2: its expiry is a time in Bucharest', () => {
    const now = Date.parse('2024-06-13T06:00:55+03:00');
    expect(read(recordedText('fan-courier.login.ok.json'), 200, now)).toEqual({
      ok: true,
      value: {
        value: '00000000|REDACTEDREDACTEDREDACTEDREDACTEDREDACTED',
        expiresAt: at('2024-06-14T06:00:55', '+03:00'),
      },
    });
  });
  test.each([
    ['login.bad', 401],
    ['login.missing-fields', 422],
    ['auth-error', 401],
  ])('%s: credentials', (name, status) => {
    expect(read(recordedText(`fan-courier.${name}.json`), status)).toMatchObject({
      failure: { kind: 'credentials' },
    });
  });
  test('anything else is unreadable', () => {
    expect(read('<html>')).toMatchObject({ failure: { kind: 'malformed' } });
  });
  test('E8: HTTP statuses mean what they mean everywhere', () => {
    expect(courier.failureOf).toBeUndefined();
  });
});
