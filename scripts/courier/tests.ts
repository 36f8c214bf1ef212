import fc from 'fast-check';
import courier from '../../../src/tracking/couriers/new-courier.ts';
import { describeCourier } from './four.ts';
import { junk, recorded, rows } from './reading.ts';

/** FILL IN a recorded response without personal data; tests/fixtures/couriers/README.md lists where each is from. */
const ANSWER = recorded('new-courier.answer.json');

// Everything is checked against what you write here from the courier's documentation, not from the tracker's file.
describeCourier(courier, {
  // { env: { NEW_COURIER_API_KEY: 'key' }, numbers: ['1', '2'], sends: { method: 'GET', url: 'https://…' },
  //   secrets: [{ authorization: 'Bearer secret' }] }
  request: [],
  off: [{ NEW_COURIER_URL: 'https://new-courier.example' }],
  rhythm: { batch: 10, everyMs: 900_000, limit: { max: 1, seconds: 1 }, atOnce: 3 },
  // { what: 'delivered', body: ANSWER, asked: ['1'], says: { 1: { is: 'scan', rawStatus: 'DELIVERED', … } } }
  read: [],
  // [{ message: 'Invalid key' }, 200, 'credentials'], [{ message: '…' }, 400, 'rejected'], ['<html>', 200, 'malformed']
  errors: [],
  hostile: (number) =>
    fc.record({
      parcels: fc.oneof(
        junk,
        fc.array(
          fc.record({
            number: fc.oneof(fc.constant(number), junk),
            events: fc.oneof(junk, fc.array(fc.record({ status: junk, at: junk }))),
          }),
        ),
      ),
    }),
  // FILL IN the fields with personal data and places
  persons: (persons) => ({ parcels: [{ number: '1', persons, events: [{ status: 'DELIVERED', persons }] }] }),
  askedInPersons: ['1'],
  statuses: [
    {
      // rows(`
      //   delivered: DELIVERED
      // `)
      words: rows(''),
      number: '1',
      bodies: (rawStatus) => [
        { parcels: [{ ...ANSWER.parcels[0], number: '1', events: [{ status: rawStatus }] }] },
      ],
    },
  ],
});
