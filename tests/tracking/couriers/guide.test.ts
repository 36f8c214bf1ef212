import { mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { pathToFileURL } from 'node:url';
import fc from 'fast-check';
import { afterAll, describe, expect, test } from 'vitest';
import type { Courier } from '../../../src/tracking/toolkit/courier.ts';
import { ROOT } from '../../support/process.ts';
import { describeCourier } from './four.ts';
import { failure, items, junk, rows, scan } from './reading.ts';

/** C15: the file in docs/add-a-courier.md is a courier as it stands. */
const guide = readFileSync(path.join(ROOT, 'docs/add-a-courier.md'), 'utf8');
const block = (language: string) =>
  new RegExp(`^\`\`\`${language}\\n(.*?)^\`\`\``, 'ms').exec(guide)?.[1] ?? '';

// a checkout with no other courier, beside whose files it finds what it imports
const folder = mkdtempSync(path.join(tmpdir(), 'orderfleet-guide-'));
afterAll(() => rmSync(folder, { recursive: true }));
mkdirSync(path.join(folder, 'src/tracking/couriers'), { recursive: true });
for (const file of ['node_modules', ...imported('../../', 'src'), ...imported('../', 'src/tracking')]) {
  mkdirSync(path.dirname(path.join(folder, file)), { recursive: true });
  symlinkSync(path.join(ROOT, file), path.join(folder, file));
}
const file = path.join(folder, 'src/tracking/couriers/bring.ts');
writeFileSync(file, block('ts'));
const courier: Courier = (await import(pathToFileURL(file).href)).default;

function imported(from: string, room: string): string[] {
  return [...block('ts').matchAll(/ from '([^']+)'/g)].flatMap(([, name = '']) =>
    name.startsWith(from) && !name.slice(from.length).startsWith('.')
      ? [path.join(room, name.slice(from.length))]
      : [],
  );
}

const NUMBER = '370438101015432168';
const env = { BRING_API_UID: 'ops@example.org', BRING_API_KEY: 'key' };
const answer = (...eventSet: unknown[]) => ({
  consignmentSet: [{ packageSet: [{ packageNumber: NUMBER, eventSet }] }],
});
const refused = (code: number, message: string) => ({ consignmentSet: [{ error: { code, message } }] });

describe('C15: the example of the guide', () => {
  describeCourier(courier, {
    request: [
      {
        env: { ...env, BRING_CLIENT_URL: 'https://shop.example' },
        numbers: [NUMBER],
        sends: {
          method: 'GET',
          url: `https://api.bring.com/tracking/api/v2/tracking.json?q=${NUMBER}&lang=en`,
          headers: { 'x-mybring-api-uid': 'ops@example.org', 'x-bring-client-url': 'https://shop.example' },
        },
        secrets: [{ 'x-mybring-api-key': 'secret' }],
      },
      {
        env: { ...env, BRING_URL: 'http://127.0.0.1:9/tracking/' },
        numbers: ['A&B'],
        sends: {
          url: 'http://127.0.0.1:9/tracking/api/v2/tracking.json?q=A%26B&lang=en',
          headers: { 'x-mybring-api-uid': 'ops@example.org' },
        },
      },
    ],
    off: [{ BRING_API_KEY: 'key' }, { BRING_API_UID: 'ops@example.org' }],
    rhythm: { batch: 1, everyMs: 900_000, limit: { max: 2, seconds: 1 }, atOnce: 3 },
    read: [
      {
        what: 'its answer',
        body: block('json'),
        asked: [NUMBER],
        says: {
          [NUMBER]: {
            is: 'scan',
            rawStatus: 'READY_FOR_PICKUP',
            courierStatus: 'ready_for_pickup',
            means: 'ready_for_pickup',
            at: new Date('2026-03-03T07:30:25Z'),
            pickedUpAt: new Date('2026-03-02T15:05:00Z'),
            rtoStartedAt: null,
            deliveredAt: null,
          },
        },
      },
    ],
    askedInErrors: [NUMBER],
    errors: [
      [refused(400, 'Invalid query'), 200, 'rejected'],
      [refused(401, 'Invalid API key'), 200, 'credentials'],
      [{ message: 'Authentication failed' }, 400, 'credentials'],
      ['Too many requests', 200, 'throttled'],
      ['<html></html>', 200, 'malformed'],
      [{ consignmentSet: 'none' }, 200, 'malformed'],
      [{ consignmentSet: [] }, 200, 'malformed'],
    ],
    hostile: (number) => {
      const event = fc.record({ status: junk, dateIso: junk });
      const parcel = fc.record({
        packageNumber: fc.oneof(fc.constant(number), junk),
        eventSet: fc.oneof(junk, fc.array(fc.oneof(junk, event))),
      });
      const set = fc.record({ error: junk, packageSet: fc.oneof(junk, fc.array(fc.oneof(junk, parcel))) });
      return fc.record({ consignmentSet: fc.oneof(junk, fc.array(fc.oneof(junk, set))) });
    },
    persons: (persons) =>
      answer({ status: 'DELIVERED', recipientSignature: { name: persons }, description: persons }),
    askedInPersons: [NUMBER],
    statuses: [
      {
        words: rows(`
          pending: PRE_NOTIFIED
          in_transit: HANDED_IN COLLECTED IN_TRANSIT TERMINAL INTERNATIONAL CUSTOMS
          out_for_delivery: TRANSPORT_TO_RECIPIENT
          ready_for_pickup: READY_FOR_PICKUP
          ndr: ATTEMPTED_DELIVERY
          delivered: DELIVERED
          rto_in_transit: RETURN
          rto: DELIVERED_SENDER
          unchanged: NOTIFICATION_SENT DELIVERY_ORDERED DELIVERY_CHANGED DELIVERY_CANCELLED DEVIATION UNKNOWN
        `),
        number: NUMBER,
        bodies: (word) => [answer({ status: word }), answer({ status: word.toLowerCase() })],
        kept: (word) => ({ rawStatus: word, courierStatus: word.toLowerCase() }),
      },
    ],
  });

  test('C9: a number that it does not know, and a parcel of which it says nothing', () => {
    const unknown = refused(404, 'No shipments found');
    for (const status of [200, 404])
      expect(items(courier, unknown, [NUMBER], { status })[NUMBER]?.is).toBe('notFound');
    expect(items(courier, answer(), [NUMBER])).toEqual({ [NUMBER]: { is: 'notFound' } });
    expect(items(courier, answer({ status: 'DELIVERED' }), ['another'])).toEqual({});
  });

  test('C6: a word that it does not document is kept, and hides nothing that is known to say nothing new', () => {
    const said = scan(courier, answer({ status: 'BEAMED_UP', dateIso: '2026-03-03T08:00:00+01:00' }), NUMBER);
    expect(said).toMatchObject({
      rawStatus: 'BEAMED_UP',
      means: undefined,
      at: new Date('2026-03-03T07:00:00Z'),
    });
    expect(
      failure(courier, { consignmentSet: [{ packageSet: [{ eventSet: [{ status: 'DELIVERED' }] }] }] }, [
        NUMBER,
      ]).kind,
    ).toBe('malformed');
  });

  test('every setting says what it is', () => {
    for (const setting of Object.values(courier.settings)) expect(setting).toHaveProperty('description');
  });
});
