import { describe, expect, test } from 'vitest';
import courier from '../../../src/tracking/couriers/sameday.ts';
import { connect, failure, items, NOW, recorded, recordedText, scan } from './reading.ts';

const AWB = '1ONB00000000017';
const env = { SAMEDAY_USERNAME: 'user', SAMEDAY_PASSWORD: 'pass' };

interface Entry {
  statusId?: unknown;
  status?: string;
  statusLabel?: string;
  statusState?: string;
  statusDate?: string;
  inReturn?: boolean;
}
const DATE = '2026-03-16T10:00:00+0200';
const answer = (history: Entry[], summary: object = {}) => ({
  expeditionSummary: { awbNumber: AWB, delivered: false, canceled: false, deliveredAt: '', ...summary },
  expeditionHistory: history.map((entry) => ({ statusDate: DATE, ...entry })),
});
const said = (history: Entry[], summary: object = {}) => scan(courier, answer(history, summary), AWB);
const on = (hour: number) => `2026-03-16T${String(hour).padStart(2, '0')}:00:00+0200`;
const returned: Entry = { statusLabel: 'Ti-am returnat coletul cu succes.', statusDate: on(18) };

// texts, some of which come without an id that is known
const TEXTS: [means: string, text: string][] = [
  ['pending', 'AWB Emis'],
  ['pending', 'Un curier urmeaza sa ridice coletul de la expeditor.'],
  ['in_transit', 'Expeditorul a predat coletul catre Sameday.'],
  ['in_transit', 'Coletul este in drum spre depozitul local.'],
  ['in_transit', 'Coletul este in drum spre depozitul central.'],
  ['in_transit', 'Intrare in hub'],
  ['in_transit', 'Iesire din hub'],
  ['in_transit', 'Intrare sorter'],
  ['in_transit', 'Intrare in agentie'],
  ['in_transit', 'Iesire din agentie'],
  ['out_for_delivery', 'In livrare la curier'],
  ['out_for_delivery', 'Curierul urmeaza sa efectueze livrarea in curand.'],
  ['ready_for_pickup', 'Incarcat in OOH'],
  ['ndr', 'Avizat'],
  ['rto_in_transit', 'Retur'],
  ['rto', 'Ti-am returnat coletul cu succes.'],
  ['rto', 'Ți-am returnat coletul cu succes.'],
  ['delivered', 'Livrata cu succes'],
  ['delivered', 'Coletul a fost livrat cu succes.'],
  ['booking_cancelled', 'Expedierea a fost anulata'],
  ['unchanged', 'Rambursul a fost transferat.'],
  ['unchanged', 'Din pacate, coletul nu poate fi localizat. Revenim cu vesti.'],
];

test.each(TEXTS)('C4, C5: %s: %s', (means, text) => {
  const histories: Entry[] = [
    { statusId: 0, statusLabel: text },
    { status: text },
    { statusId: 999, statusState: text, statusLabel: 'x' },
    { statusLabel: text.toUpperCase() },
  ];
  for (const entry of histories) expect(said([entry])).toMatchObject({ means, at: new Date(DATE) });
});

describe('C6: what nobody knows for sure is unmapped', () => {
  test.each([3, 5, 6, 7, 10, 13, 20, 21, 22, 30, 34, 74, 75, 79, 0, 120])('%i', (statusId) => {
    expect(said([{ statusId, statusState: 'Colete livrate', statusLabel: 'x' }])).toMatchObject({
      rawStatus: `ID_${statusId}_COLETE_LIVRATE`,
      courierStatus: `${statusId} Colete livrate`,
      means: undefined,
    });
  });
  test.each(['Refuz predare', 'Ridicare ulterioara', 'Depozitare', 'Redirect Home to OOH'])(
    '%s',
    (status) => {
      expect(said([{ status }]).means).toBeUndefined();
    },
  );
  test('it leaves what was before', () => {
    const history = [{ statusId: 56 }, { statusId: 120, statusState: 'Stare noua', statusDate: on(12) }];
    expect(said(history)).toMatchObject({
      rawStatus: 'ID_120_STARE_NOUA',
      means: undefined,
      before: { means: 'in_transit' },
    });
  });
});

describe('E5, E6: the history', () => {
  const delivered = { statusId: 9, statusDate: on(11) };
  test('newest first, as on its public page', () => {
    expect(said([delivered, { statusId: 33 }])).toMatchObject({ means: 'delivered', at: new Date(on(11)) });
  });
  test('a text counts more than an id', () => {
    expect(said([{ ...returned, statusId: 9 }]).means).toBe('rto');
    expect(said([{ statusId: 33, statusLabel: 'Expedierea a fost anulata' }]).means).toBe(
      'booking_cancelled',
    );
  });
  test('a cash payout, days later, keeps the delivery and its time', () => {
    const paid = { statusId: 3, statusLabel: 'Rambursul a fost transferat.', statusDate: on(20) };
    expect(said([delivered, paid], { delivered: true, deliveredAt: on(11) })).toMatchObject({
      means: 'delivered',
      at: new Date(on(11)),
      deliveredAt: new Date(on(11)),
    });
  });
  test('a return that arrives is rto, whatever the summary says', () => {
    const back = { statusId: 35, statusDate: on(12) };
    const summary = { delivered: true, deliveredAt: on(18) };
    expect(said([{ statusId: 33 }, back])).toMatchObject({ means: 'rto_in_transit' });
    expect(said([{ statusId: 33 }, back, returned], summary)).toMatchObject({
      rawStatus: 'TI_AM_RETURNAT_COLETUL_CU_SUCCES',
      means: 'rto',
      rtoStartedAt: new Date(on(12)),
    });
    expect(said([back], summary)).toMatchObject({ means: 'rto', deliveredAt: null });
    expect(said([back], { delivered: true })).toMatchObject({ means: 'rto' });
    expect(said([back, { statusId: 9, statusDate: on(13) }])).toMatchObject({ means: 'rto' });
  });
  test.each([
    [56, 'rto_in_transit'],
    [33, 'rto_in_transit'],
    [9, 'rto'],
    [1, 'pending'],
  ])('%i of a parcel in return: %s', (statusId, means) => {
    expect(said([{ statusId, inReturn: true }]).means).toBe(means);
    expect(said([{ statusId, inReturn: false }]).means).not.toMatch(/rto/);
  });
  test('a delivered parcel is not cancelled', () => {
    expect(said([delivered], { canceled: true }).means).toBe('delivered');
    expect(said([{ statusId: 56 }], { canceled: true }).means).toBe('booking_cancelled');
  });
  test('a time without a zone is none', () => {
    expect(said([{ statusId: 56, statusDate: '2026-03-16 10:00:00' }]).at).toBeNull();
  });
});

describe('E8: what a 403 means', () => {
  const challenge = '<!DOCTYPE html><title>Just a moment...</title>';
  const of = (text: string, status: number, what: 'login' | 'tracking') =>
    courier.failureOf?.({ status, headers: {}, text }, what)?.kind;
  test.each(['login', 'tracking'] as const)('at %s: a page is its front, JSON the password', (what) => {
    expect(of(challenge, 403, what)).toBe('throttled');
    expect(of('', 403, what)).toBe('throttled');
    expect(of(recordedText('sameday.login.bad.json'), 403, what)).toBe('credentials');
  });
  test('other statuses and messages mean what they mean everywhere', () => {
    expect(of('{"error":{"code":403,"message":"Access Denied."}}', 403, 'tracking')).toBeUndefined();
    for (const status of [200, 401, 429, 500, 503]) expect(of(challenge, status, 'login')).toBeUndefined();
  });
});

describe('C11: the login', () => {
  const read = (text: string, status = 200, now = NOW) =>
    connect(courier, env)?.access.login?.read({
      status,
      headers: { date: new Date(now).toUTCString() },
      text,
    });
  test('E2: its expiry is the one in UTC', () => {
    const now = Date.parse('2026-02-24T20:30:00Z');
    expect(read(recordedText('sameday.login.ok.json'), 200, now)).toEqual({
      ok: true,
      value: { value: 'REDACTEDREDACTEDREDACTED', expiresAt: new Date('2026-02-25T08:30:00Z') },
    });
  });
  test('refused', () => {
    const answers = [['login.bad', 403] as const, ['auth-error', 401] as const];
    for (const [name, status] of answers)
      expect(read(recordedText(`sameday.${name}.json`), status)).toMatchObject({
        failure: { kind: 'credentials' },
      });
  });
  test('anything else is unreadable', () => {
    expect(read('<html>')).toMatchObject({ failure: { kind: 'malformed' } });
  });
});

test('C9: of several numbers none can be found at fault', () => {
  expect(failure(courier, recorded('sameday.unknown.json'), ['1', '2'], { status: 404 }).kind).toBe(
    'rejected',
  );
});

test('R3: a broken entry costs only itself', () => {
  const body = { ...answer([]), expeditionHistory: [7, null, { statusId: {} }, { statusId: 9 }] };
  expect(items(courier, body, [AWB])).toMatchObject({ [AWB]: { means: 'delivered', at: null } });
});
