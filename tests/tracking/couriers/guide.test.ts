import { mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { pathToFileURL } from 'node:url';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { Courier } from '../../../src/tracking/courier.ts';
import { ROOT } from '../../support/process.ts';
import { connect, expectHardy, failure, items, junk, NOW, settingsOf } from './reading.ts';

/** C15: the file in docs/add-a-courier.md is a courier as it stands. */
const guide = readFileSync(path.join(ROOT, 'docs/add-a-courier.md'), 'utf8');
const block = (language: string) =>
  new RegExp(`^\`\`\`${language}\\n(.*?)^\`\`\``, 'ms').exec(guide)?.[1] ?? '';
const ASKED = ['2150000000017', '2150000000024', '2150000000031'];
const CREDENTIALS = {
  FAN_COURIER_CLIENT_ID: '7',
  FAN_COURIER_USERNAME: 'user',
  FAN_COURIER_PASSWORD: 'pass',
};

let folder: string;
let courier: Courier;
beforeAll(async () => {
  // a checkout with no other courier, beside whose files it finds what it imports
  folder = mkdtempSync(path.join(tmpdir(), 'orderfleet-guide-'));
  mkdirSync(path.join(folder, 'src/tracking/couriers'), { recursive: true });
  for (const file of ['node_modules', ...imported('../../', 'src'), ...imported('../', 'src/tracking')])
    symlinkSync(path.join(ROOT, file), path.join(folder, file));
  const file = path.join(folder, 'src/tracking/couriers/fan-courier.ts');
  writeFileSync(file, block('ts'));
  courier = (await import(pathToFileURL(file).href)).default;
});
afterAll(() => rmSync(folder, { recursive: true }));

const imported = (from: string, room: string) =>
  [...block('ts').matchAll(/ from '([^']+)'/g)].flatMap(([, name = '']) =>
    name.startsWith(from) && !name.slice(from.length).startsWith('.')
      ? [path.join(room, name.slice(from.length))]
      : [],
  );

test('C15: the example of the guide makes its requests', () => {
  const connection = connect(courier, CREDENTIALS);
  expect(connection?.request(ASKED).url).toBe(
    `https://api.fancourier.ro/reports/awb/tracking?clientId=7&awb=${ASKED.join(',')}`,
  );
  expect(connection?.access.schemes[0]('x')).toEqual({ authorization: 'Bearer x' });
  const { login } = connection?.access ?? {};
  expect(login?.request).toMatchObject({ url: 'https://api.fancourier.ro/login', method: 'POST' });
  const answered = (body: unknown) => login?.read({ status: 200, headers: {}, text: JSON.stringify(body) });
  expect(answered({ data: { token: 'abc', expiresAt: '2026-03-04T10:00:00+02:00' } })).toEqual({
    ok: true,
    value: { value: 'abc', expiresAt: new Date('2026-03-04T08:00:00Z') },
  });
  expect(answered({ message: 'Wrong password' })).toMatchObject({ failure: { kind: 'credentials' } });
  expect(connect(courier, {})).toBeUndefined();
  expect(courier.limit?.(settingsOf(courier))).toEqual({ max: 9, seconds: 10 });
  for (const setting of Object.values(courier.settings)) expect(setting).toHaveProperty('description');
});

test('C15: it reads the answer of the guide as the guide says', () => {
  expect(items(courier, block('json'), ASKED)).toEqual({
    '2150000000024': {
      is: 'scan',
      word: 'S2',
      courierStatus: 'Livrat',
      means: 'delivered',
      at: new Date('2026-03-03T11:55:00Z'),
      pickedUpAt: new Date('2026-03-02T16:40:00Z'),
      deliveredAt: new Date('2026-03-03T11:55:00Z'),
    },
    '2150000000017': {
      is: 'scan',
      word: 'S77',
      courierStatus: 'Livrat în locker',
      means: undefined,
      at: null,
      pickedUpAt: null,
      deliveredAt: null,
    },
    '2150000000031': { is: 'notFound' },
  });
  expect(failure(courier, { message: 'Token expired' }, ASKED).kind).toBe('credentials');
});

test('C15: it takes hostile answers as the others do', () => {
  expectHardy(courier, (number) =>
    junk.map((value) => ({
      data: [{ awbNumber: number, events: [value, { id: value, name: value, date: value }] }],
    })),
  );
  expect(courier.read({ status: 200, headers: {}, text: '' }, ASKED, NOW).ok).toBe(false);
});
