import { describe, expect, it } from 'vitest';
import { standInOf } from '../../sandbox/couriers/catalogue.ts';
import { LIVES, type LifeName } from '../../sandbox/couriers/model.ts';
import { openApi } from '../../sandbox/couriers/open.ts';
import { createParcels } from '../../sandbox/couriers/parcels.ts';
import { couriers } from '../../src/tracking/registry.ts';
import type { Scan } from '../../src/tracking/toolkit/courier.ts';
import { DAY, HOUR } from './couriers.ts';

const NOW = Date.parse('2026-03-20T12:00:00Z');
const NAMES = ['fan-courier', 'sameday', 'cargus'] as const;
type Name = (typeof NAMES)[number];

/** An API with its parcels, and the courier's own file that calls it and reads what it answers. */
function opened(name: Name, settings: object = {}) {
  const clock = { offsetMs: 0, now: () => NOW + clock.offsetMs };
  const parcels = createParcels(clock, 1);
  const standIn = standInOf(name);
  const api = openApi(standIn, { clock, parcels }, settings);
  const courier = couriers.find((one) => one.name === name);
  const here = { url: 'http://sandbox', settings: api.settings, account: api.account?.settings };
  const variables = Object.entries(standIn.env).map(([variable, make]) => [variable, make(here as never)]);
  const connection = courier?.connect(Object.fromEntries(variables));
  if (!courier || !connection || !api.account) throw new Error(`${name} is off`);
  const call = (target: string, headers: Record<string, string> = {}, method = 'GET', body = '') => {
    const { pathname: path, searchParams: query } = new URL(target, 'http://sandbox');
    return api.answer({ kind: api.kindOf(path), method, path, query, headers, body });
  };
  const [scheme] = connection.access.schemes;
  const authorized = (target: string, more: Record<string, string> = {}) =>
    call(target, { ...more, ...scheme(api.account?.issue() ?? '') });
  const read = (numbers: string[]) => {
    const { url, headers } = connection.request(numbers);
    const { status, body } = authorized(url, headers);
    const result = courier.read({ status, headers: {}, text: body }, numbers, clock.now());
    if (!result.ok) throw new Error(result.failure.message);
    return result.value;
  };
  return { ...{ api, clock, parcels, courier, connection, call, authorized, read } };
}

const known = (scan: Scan) => (scan.means === undefined || scan.means === 'unchanged' ? scan.before : scan);

describe.each(NAMES)('%s', (name) => {
  it.each(LIVES)('%s: what its file reads is what happened, at any time', (life: LifeName) => {
    const { clock, parcels, read } = opened(name);
    for (let index = 0; index < 3; index++) {
      const { number } = parcels.add({ api: name, life });
      for (let hours = 1; hours < 30 * 24; hours += 15 + index) {
        clock.offsetMs = hours * HOUR;
        const item = read([number]).get(number);
        const scan = item?.is === 'scan' ? known(item) : undefined;
        // E4: back at the seller, and where it was sent on, is what the other number says
        const link = scan?.links?.find(({ is }) => is === 'redirection' || scan.means === 'rto_in_transit');
        const other = link && read([link.number]).get(link.number);
        const there = other?.is === 'scan' ? known(other)?.means : undefined;
        const back = there === 'delivered' ? 'rto' : undefined;
        const status = (link?.is === 'redirection' ? there : back) ?? scan?.means ?? 'pending';
        expect([hours, status]).toEqual([hours, parcels.truth(number).status]);
      }
      clock.offsetMs = 0;
    }
  });

  it('logs in as its file does; a wrong password is credentials', () => {
    const { call, api, courier, connection } = opened(name);
    const { url, headers = {}, body = '' } = connection.access.login?.request ?? { url: '' };
    const login = () => {
      const answer = call(url, headers, 'POST', body);
      const date = new Date(NOW).toUTCString();
      const response = { status: answer.status, headers: { date }, text: answer.body };
      const failure = courier.failureOf?.(response, 'login');
      return failure ? { ok: false, failure } : connection.access.login?.read(response);
    };
    const token = login();
    expect(token).toMatchObject({ ok: true });
    const hours = name === 'sameday' ? 14 * 24 : 24;
    if (token?.ok && 'value' in token && name !== 'cargus')
      expect(Math.abs(token.value.expiresAt.getTime() - NOW - hours * HOUR)).toBeLessThanOrEqual(60_000);
    if (api.account) api.account.settings.password = 'another';
    expect(login()).toMatchObject({ ok: false, failure: { kind: 'credentials' } });
  });
});

describe('Sameday', () => {
  it('tells changes by time, newest first, by the parcels’ own numbers', () => {
    const { parcels, authorized, clock } = opened('sameday');
    const { number } = parcels.add({ api: 'sameday', seed: 1 });
    parcels.add({ api: 'sameday', life: 'ndr', seed: 2 });
    clock.offsetMs = 6 * DAY;
    const sync = (from: number, to: number, more = '') => {
      const window = `startTimestamp=${Math.floor(from / 1000)}&endTimestamp=${Math.floor(to / 1000)}`;
      return authorized(`/api/client/status-sync?${window}${more}`);
    };
    const seen: { parcelAwbNumber: string; statusDate: string }[] = [];
    for (let from = NOW; from < NOW + 6 * DAY; from += 2 * HOUR) {
      const { currentPage, perPage, data } = JSON.parse(sync(from, from + 2 * HOUR - 1000).body);
      expect({ currentPage, perPage }).toEqual({ currentPage: 1, perPage: 50 });
      const dates = data.map(({ statusDate }: { statusDate: string }) => Date.parse(statusDate));
      expect(dates).toEqual([...dates].sort((a: number, b: number) => b - a));
      seen.unshift(...data);
    }
    const status = JSON.parse(authorized(`/api/client/awb/${number}/status`).body);
    const own = seen.filter(({ parcelAwbNumber }) => parcelAwbNumber === `${number}001`);
    const dates = (entries: { statusDate: string }[]) => entries.map(({ statusDate }) => statusDate);
    expect(dates(own).reverse()).toEqual(dates(status.expeditionHistory));
    const pages = [1, 2, 3].map((page) => sync(NOW, NOW + 2 * HOUR, `&page=${page}&countPerPage=2`).body);
    expect(pages.map((page) => JSON.parse(page).data.length)).toEqual([2, 2, 0]);
  });

  it.each([
    'startTimestamp=2026-03-20T12:00:00&endTimestamp=2026-03-20T13:00:00',
    'startTimestamp=1774000000&endTimestamp=1774007201',
    'startTimestamp=1774000000',
  ])('refuses %s', (query) => {
    const { authorized } = opened('sameday');
    expect(authorized(`/api/client/status-sync?${query}`).status).toBe(400);
  });

  it('has a front that may ask who calls, and tokens of twelve hours', () => {
    const { call, api, courier, authorized } = opened('sameday', { challenge: true });
    const { status, body } = authorized('/api/client/awb/1/status');
    const failure = courier.failureOf?.({ status, headers: {}, text: body }, 'tracking');
    expect(failure?.kind).toBe('throttled');
    Object.assign(api.settings, { challenge: false });
    const { user, password } = api.account?.settings ?? {};
    const headers = { 'x-auth-username': String(user), 'x-auth-password': String(password) };
    const { expire_at, expire_at_utc } = JSON.parse(call('/api/authenticate', headers, 'POST').body);
    expect([expire_at, expire_at_utc]).toEqual(['2026-03-21 02:00', '2026-03-21 00:00']);
  });
});

describe('Cargus', () => {
  const key = { 'ocp-apim-subscription-key': 'demo-cargus-subscription-key' };

  it('gives children that nobody wanted, in either form of a list', () => {
    const { parcels, authorized, clock } = opened('cargus');
    const { number } = parcels.add({ api: 'cargus', seed: 4 });
    clock.offsetMs = 6 * DAY;
    for (const list of [`${number},1`, `["${number}","1"]`, `[${number}]`]) {
      const rows = JSON.parse(authorized(`/AwbTrace?barCode=${encodeURIComponent(list)}`, key).body);
      const codes = rows.map(({ Code }: { Code: string }) => Code);
      expect(codes).toEqual([number, `${number}002`, `${number}003`]);
    }
  });

  it('tells events by American days, in Romania', () => {
    const { parcels, authorized, clock } = opened('cargus', { children: false });
    const { number } = parcels.add({ api: 'cargus', seed: 5 });
    clock.offsetMs = 6 * DAY;
    const delta = (query: string) => authorized(`/AwbTrace/GetDeltaEvents?${query}`, key);
    const events = (body: string) => JSON.parse(body)[0]?.Event ?? [];
    const whole = events(authorized(`/AwbTrace?barCode=${number}`, key).body);
    expect(whole.length).toBeGreaterThan(6);
    expect(events(delta('FromDate=03-20-2026').body)).toEqual(whole);
    const day = whole[0].Date.slice(0, 10).replace(/^(\d+)-(\d+)-(\d+)$/, '$2-$3-$1');
    const one = events(delta(`FromDate=${day}&ToDate=${day}`).body);
    expect(one.length).toBeGreaterThan(0);
    expect(one.length).toBeLessThan(whole.length);
    expect(JSON.parse(delta('FromDate=03-01-2026&ToDate=03-02-2026').body)).toEqual([]);
    for (const wrong of ['2026-03-20', '20-03-2026', '']) expect(delta(`FromDate=${wrong}`).status).toBe(400);
  });

  it('wants its key before anything else', () => {
    const { call, authorized } = opened('cargus');
    expect(authorized('/AwbTrace?barCode=1').status).toBe(401);
    expect(call('/LoginUser', {}, 'POST', '{}').body).toContain('missing subscription key');
  });
});
