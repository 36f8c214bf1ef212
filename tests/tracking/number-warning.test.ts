import { describe, expect, test } from 'vitest';
import { standIns } from '../../sandbox/couriers/catalogue.ts';
import { createRandom } from '../../sandbox/random.ts';
import { numberWarning } from '../../src/tracking/index.ts';
import { couriers } from '../../src/tracking/registry.ts';

// Valid ones of UPS and FedEx as they are published for tests of their check digits.
const CAN_BE: [carrier: string, numbers: string[]][] = [
  ['fancourier', ['2071234567890', '7000170297615']],
  ['FAN Courier', ['2071234567890']],
  ['sameday', ['1SDY241067423', '1ONB24123456789', '4EMGLN12345678001', '1onbx12345678']],
  ['ups', ['1Z999AA10123456784', '1z5r89390357567127', '1Z879E930346834440', '1Z410E7W0392751591']],
  ['UPS', ['T9999999999', '123456789', '123456789012', '92612999988208211718', 'MI123456789ABC']],
  ['fedex', ['986578788855', '477179081230', '041441760228964', '61299998820821171811']],
  ['FedEx', ['1001921334250001000300779017972697', 'DT123456789012', '123456789', 'GD123456789WW']],
];
const CANNOT: [carrier: string, numbers: string[]][] = [
  ['fancourier', ['1SDY241067423', '207123456789', '20712345678901', 'FAN1234567890', '1Z999AA10123456784']],
  ['FAN-Courier SRL', ['12345']],
  ['sameday', ['2071234567890', '1SDY24', '1SDY-241067423', 'SAMEDAYSAMEDAY']],
  [
    'ups',
    ['1Z999AA10123456785', '1Z5R8939035756712', '1Z1111111111111111', '2071234567890', '1SDY241067423'],
  ],
  ['fedex', ['996578788855', '2071234567890', '1Z999AA10123456784', '12345678901']],
];

describe.each(CAN_BE)('E9: numbers of %s', (carrier, numbers) => {
  test.each(numbers)('%s', (number) => expect(numberWarning(carrier, number)).toBeUndefined());
});
describe.each(CANNOT)('E9: numbers that cannot be one of %s', (carrier, numbers) => {
  test.each(numbers)('%s', (number) =>
    expect(numberWarning(carrier, number)).toMatch(`AWB ${number} cannot be one of `),
  );
});

test('E9: it says whose and what they look like, and nothing of another carrier', () => {
  expect(numberWarning('fancourier', '1SDY241067423')).toBe(
    'AWB 1SDY241067423 cannot be one of FAN Courier’s numbers: those are 13 digits',
  );
});

test.each([
  // in every country another form
  ...['dpd', 'DPD RO', 'DPD DE', 'gls', 'GLS(IT)', 'dhl', 'cargus', 'Delhivery Surface'],
  // nobody knows
  ...['Royal Mail', 'Packeta', '', 'Groups'],
  // a broker's number may be its own
  ...['Shiprocket UPS', 'FedEx by Velocity'],
])('E9: of "%s" any number may be one', (carrier) => {
  for (const number of ['X1', '2071234567890', '1Z1111111111111111'])
    expect(numberWarning(carrier, number)).toBeUndefined();
});

test('E9: what a courier’s stand-in makes up is one of its numbers', () => {
  const random = createRandom(9);
  const checked = standIns.flatMap(({ name, newNumber }) => {
    const form = couriers.find((courier) => courier.name === name)?.numberForm;
    if (!form) return [];
    for (let nth = 0; nth < 200; nth++) {
      const number = newNumber?.(random) ?? '';
      expect([name, number, form.fits(number.toUpperCase())]).toEqual([name, number, true]);
    }
    return [name];
  });
  expect(checked.sort()).toEqual(['fan-courier', 'fedex', 'sameday', 'ups']);
});
