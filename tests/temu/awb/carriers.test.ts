import { readFileSync } from 'node:fs';
import countries from 'i18n-iso-countries';
import { describe, expect, test } from 'vitest';
import { type Company, matchCarrier, normalCarrier } from '../../../src/temu/awb/carriers.ts';
import { regionOf } from '../../../src/temu/awb/regions.ts';

const company = (id: string, name: string, brand: string | null = null): Company => ({ id, name, brand });

describe('names', () => {
  test.each([
    ['fancourier', 'FANCOURIER'],
    ['FAN Courier', 'FANCOURIER'],
    ['fan-courier', 'FANCOURIER'],
    ['sameday', 'SAMEDAY'],
    ['SameDay', 'SAMEDAY'],
    ['dhl', 'DHL'],
    ['ups', 'UPS'],
    ['fedex', 'FEDEX'],
    ['FedEx', 'FEDEX'],
    ['dpd', 'DPD'],
    ['gls', 'GLS'],
    ['Poșta Română', 'POSTAROMANA'],
    ['my own van', 'MYOWNVAN'],
    ['Спиди', 'СПИДИ'],
  ])('A4: %s is %s', (given, normal) => {
    expect(normalCarrier(given)).toBe(normal);
  });
});

describe('matching', () => {
  const RO = [
    company('101', 'FAN Courier'),
    company('102', 'Sameday'),
    company('103', 'Cargus', 'Urgent Cargus'),
    company('105', 'DPD RO', 'DPD'),
    company('9007199254740995', 'Huge Express'),
  ];

  test.each([
    ['fancourier', '101'],
    ['SAMEDAY', '102'],
    ['urgent cargus', '103'],
    ['dpd', '105'],
    ['dpd ro', '105'],
    ['huge express', '9007199254740995'],
  ])('A4: %s is provider %s', (carrier, id) => {
    expect(matchCarrier(carrier, RO, undefined)).toEqual({ ok: true, id });
  });

  test('A4: a name goes before a brand: GLS beside GLS(IT) of the brand GLS', () => {
    const italy = [company('2', 'GLS(IT)', 'GLS'), company('1', 'GLS', 'GLS')];
    expect(matchCarrier('gls', italy, undefined)).toEqual({ ok: true, id: '1' });
    expect(matchCarrier('GLS (IT)', italy, undefined)).toEqual({ ok: true, id: '2' });
  });

  test('A4: GLS(IT) alone is GLS by its brand, and without a brand it is not guessed', () => {
    expect(matchCarrier('gls', [company('2', 'GLS(IT)', 'GLS')], undefined)).toEqual({ ok: true, id: '2' });
    expect(matchCarrier('gls', [company('2', 'GLS(IT)')], undefined)).toMatchObject({
      ok: false,
      candidates: [{ id: '2' }],
    });
  });

  test('A4: the same company listed twice is one', () => {
    expect(matchCarrier('dhl', [company('1', 'DHL'), company('1', 'dhl')], undefined)).toEqual({
      ok: true,
      id: '1',
    });
  });

  test.each<[string, Company[]]>([
    ['name', [company('1', 'DHL'), company('2', 'D.H.L.'), company('3', 'UPS')]],
    ['brand', [company('1', 'DHL Paket', 'DHL'), company('2', 'DHL Express', 'DHL'), company('3', 'UPS')]],
  ])('A4: two of the same %s: these two are the candidates', (_, companies) => {
    const match = matchCarrier('dhl', companies, undefined);
    if (match.ok) throw new Error('one was chosen');
    expect(match.candidates.map(({ id }) => id)).toEqual(['1', '2']);
    expect(match.error).toContain("several of Temu's carriers are named DHL;");
    for (const { id, name } of companies.slice(0, 2)) expect(match.error).toContain(`${name} (${id})`);
    expect(match.error).not.toContain('UPS');
  });

  test('A4: none of the name: those akin to it are the candidates, with the command that pins one', () => {
    const match = matchCarrier('Fan', RO, undefined);
    if (match.ok) throw new Error('one was chosen');
    expect(match.candidates.map(({ id }) => id)).toEqual(['101']);
    expect(match.error).toBe(
      "none of Temu's carriers is named FAN; choose one: orderfleet carriers pin FAN ID --store NAME. Candidates: FAN Courier (101)",
    );
  });

  test('A4: none akin: all are candidates, the first dozen named', () => {
    const many = Array.from({ length: 20 }, (_, index) => company(`${index}`, `Carrier ${index}`));
    const match = matchCarrier('xyz', many, undefined);
    if (match.ok) throw new Error('one was chosen');
    expect(match.candidates).toHaveLength(20);
    expect(match.error).toContain('Carrier 11 (11) and 8 more');
    expect(match.error).not.toContain('Carrier 12');
  });

  test('A4: Temu lists no carrier at all', () => {
    const match = matchCarrier('dhl', [], undefined);
    expect(match).toMatchObject({ ok: false, candidates: [] });
    expect('error' in match && match.error).toContain('Temu lists no carrier');
  });

  test('A4: a pin goes before everything', () => {
    expect(matchCarrier('dhl', [company('1', 'DHL')], '77')).toEqual({ ok: true, id: '77' });
  });

  test('A4: names in other scripts are told apart: a wrong id is a wrong parcel', () => {
    const companies = [company('1', 'Спиди'), company('2', 'DHL')];
    expect(matchCarrier('спиди', companies, undefined)).toEqual({ ok: true, id: '1' });
    expect(matchCarrier('Еконт', companies, undefined).ok).toBe(false);
    expect(matchCarrier('***', [company('1', '–'), company('2', 'DHL')], undefined).ok).toBe(false);
  });
});

interface Region {
  regionId: number;
  name: string;
}

describe('regions', () => {
  const table: Region[] = JSON.parse(
    readFileSync(new URL('../../fixtures/temu/region-ids.json', import.meta.url), 'utf8'),
  );
  /** Names of Temu’s table by ISO code, where a list knows the name. */
  const named = table.flatMap(({ regionId, name }) => {
    const code = countries.getAlpha2Code(name, 'en');
    return code ? [{ code, regionId, name }] : [];
  });

  test('A4: the region of every country is the one of Temu’s table', () => {
    expect(named.length).toBeGreaterThan(180);
    const wrong = named.filter(({ code, regionId }) => regionOf(code) !== regionId);
    expect(wrong).toEqual([]);
  });

  test('A4: no country has a region that Temu’s table does not have, and no two share one', () => {
    const ids = new Set(table.map(({ regionId }) => regionId));
    const codes = [...Array(26 * 26).keys()].map((n) =>
      String.fromCharCode(65 + Math.floor(n / 26), 65 + (n % 26)),
    );
    const ours = codes.flatMap((code) => regionOf(code) ?? []);
    expect(ours.filter((id) => !ids.has(id))).toEqual([]);
    expect(new Set(ours).size).toBe(ours.length);
    expect(ours.length).toBeGreaterThanOrEqual(named.length);
  });

  test('A4: a country that is none has none', () => {
    expect(regionOf('QQ')).toBeUndefined();
    expect(regionOf('')).toBeUndefined();
  });
});
