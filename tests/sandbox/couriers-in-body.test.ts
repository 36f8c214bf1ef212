import { describe, expect, it } from 'vitest';
import { z } from 'zod';
import dpdRo from '../../src/tracking/couriers/dpd-ro.ts';
import gls from '../../src/tracking/couriers/gls.ts';
import type { Courier } from '../../src/tracking/toolkit/courier.ts';
import { courierTest, DAY } from './couriers.ts';

type Test = Awaited<ReturnType<typeof courierTest>>;

/** What a courier's own file sends for numbers and reads: the HTTP status, and the kind of failure or what was found. */
// biome-ignore lint/suspicious/noExplicitAny: couriers of any settings
async function ask(test: Test, courier: Courier<any>, numbers: string[], env: Record<string, string> = {}) {
  const settings = z.object(courier.settings).parse({ ...test.env, ...env });
  const { url, ...init } = courier.connect(settings)?.request(numbers) ?? { url: '' };
  const response = await fetch(url, init);
  const answer = { status: response.status, headers: {}, text: await response.text() };
  const read = courier.read(answer, numbers, Date.now() + test.sandbox.world.clock.offsetMs);
  return [answer.status, read.ok ? [...read.value.values()].map(({ is }) => is) : read.failure.kind];
}

describe('DPD Romania', () => {
  it('refuses with HTTP 200, and leaves out what it does not know', async () => {
    const test = await courierTest();
    const { number } = test.parcels.add({ api: 'dpd-ro', bookedAt: Date.now() - DAY });
    expect(await ask(test, dpdRo, [number, '80999999999'])).toEqual([200, ['scan']]);
    for (const refusal of ['en', 'ro'] as const) {
      test.api['dpd-ro'].settings.refusal = refusal;
      expect(await ask(test, dpdRo, [number], { DPD_RO_PASSWORD: 'wrong' })).toEqual([200, 'credentials']);
    }
    test.api['dpd-ro'].settings.unknownAs = 'error';
    expect(await ask(test, dpdRo, ['80999999999'])).toEqual([200, ['notFound']]);
  });
  it('answers five requests a second, the sixth with HTTP 200 too', async () => {
    const test = await courierTest();
    const { number } = test.parcels.add({ api: 'dpd-ro', bookedAt: Date.now() - DAY });
    const answers = await Promise.all(Array.from({ length: 6 }, () => ask(test, dpdRo, [number])));
    expect(answers.filter(([, read]) => read === 'throttled')).toEqual([[200, 'throttled']]);
  });
});

describe('GLS', () => {
  it('answers the same request four times in five minutes', async () => {
    const test = await courierTest();
    const one = test.parcels.add({ api: 'gls', bookedAt: Date.now() - DAY });
    const other = test.parcels.add({ api: 'gls', bookedAt: Date.now() - DAY });
    for (let n = 0; n < 4; n++) expect(await ask(test, gls, [one.number])).toEqual([200, ['scan']]);
    expect(await ask(test, gls, [one.number])).toEqual([200, 'throttled']);
    expect(test.api.gls.ledger.summary()).toMatchObject({ limited: 1, outcomes: { ok: 4, limited: 1 } });
    expect(await ask(test, gls, [other.number])).toEqual([200, ['scan']]);
    test.sandbox.world.clock.offsetMs += 301_000;
    expect(await ask(test, gls, [one.number])).toEqual([200, ['scan']]);
  });
  it('tells a wrong user, a wrong password and a wrong number apart', async () => {
    const test = await courierTest();
    expect(await ask(test, gls, ['6299999999'])).toEqual([200, ['notFound']]);
    expect(await ask(test, gls, ['62X'])).toEqual([400, 'rejected']);
    expect(await ask(test, gls, ['6299999999'], { GLS_USERNAME: 'x' })).toEqual([200, 'credentials']);
    const [status] = await ask(test, gls, ['6299999999'], { GLS_PASSWORD: 'x' });
    expect(status).toBe(401);
    test.api.gls.settings.wrongPasswordAs = 'error';
    expect(await ask(test, gls, ['6299999999'], { GLS_PASSWORD: 'x' })).toEqual([200, 'credentials']);
  });
});
