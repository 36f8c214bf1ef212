import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { actionOf } from '../../src/lib/errors.ts';
import { failureOf } from '../../src/temu/envelope.ts';
import { classOf, ERROR_CLASSES, type ErrorClass, isUnknownApp } from '../../src/temu/error-classes.ts';
import { recorded } from './recorded.ts';

const groups = recorded<Record<string, number[]>>('error-retry-classes.json');
const known = recorded<{ code: number; message: string }[]>('error-codes.json');

/** The data's name of each class. */
const GROUP_OF: Record<ErrorClass, string> = {
  throttle: 'throttle',
  transient: 'retryTransient',
  notReady: 'retryLaterDataNotReady',
  credentials: 'stopShopCredentials',
  scope: 'stopApiForShopScopeMissing',
  bug: 'stopFleetBug',
  clock: 'clockSkewFixThenRetryOnce',
  wrongRegion: 'wrongRegionConfig',
  sellerMustAct: 'sellerActionThenRetry',
  alreadyDone: 'alreadyDoneVerifyByReadBack',
  terminal: 'terminalForThisSubmission',
};

describe('T16: error classes', () => {
  it.each(Object.entries(GROUP_OF))('T16: %s has the codes of %s', (name, group) => {
    const sorted = (codes: readonly number[]) => [...codes].sort((a, b) => a - b);
    expect(sorted(ERROR_CLASSES[name as ErrorClass])).toEqual(sorted(groups[group] ?? []));
  });

  it('T16: no group of the data is forgotten, and no code stands in two classes', () => {
    const apart = ['note', 'ok', 'notRetryableDespiteTransientCode'];
    expect(
      Object.keys(groups)
        .filter((name) => !apart.includes(name))
        .sort(),
    ).toEqual(Object.values(GROUP_OF).sort());
    const codes = Object.values(ERROR_CLASSES).flat();
    expect(new Set(codes).size).toBe(codes.length);
  });

  it.each(
    Object.entries(ERROR_CLASSES).flatMap(([name, codes]) => codes.map((code) => [code, name] as const)),
  )('T16: %i is %s', (code, name) => {
    expect(classOf(code, 'any text')).toBe(name);
  });

  it('T16: 4000000 with "The application information query is abnormal" is an unknown app, not transient', () => {
    expect(classOf(4000000, 'The application information query is abnormal')).toBe('credentials');
    expect(classOf(4000000, 'SYSTEM_EXCEPTION')).toBe('transient');
    expect(classOf(7000000, 'The application information query is abnormal')).toBe('transient');
  });

  it('T15: an app that a host does not know may be another region’s; a token or a wrong region is something else', () => {
    const unknown = (code: number, message: string) => isUnknownApp({ code, message });
    expect(unknown(3000026, 'app_key not exists')).toBe(true);
    expect(unknown(4000000, 'the Application information query is abnormal')).toBe(true);
    expect(unknown(4000000, 'SYSTEM_EXCEPTION')).toBe(false);
    for (const code of [...ERROR_CLASSES.wrongRegion, 3000031, 3000034])
      expect(unknown(code, 'any text'), String(code)).toBe(false);
  });

  it('T16: a code that is in no group is terminal for the piece of work (property)', () => {
    const grouped = new Set(Object.values(ERROR_CLASSES).flat());
    fc.assert(
      fc.property(fc.integer(), fc.string(), (code, text) => {
        fc.pre(!grouped.has(code));
        expect(classOf(code, text)).toBe('terminal');
      }),
    );
    expect(classOf(Number.NaN, '')).toBe('terminal');
    expect(actionOf(failureOf({ errorClass: 'terminal', code: 1, message: 'x' }))).toBe('park');
  });

  it('T16: every documented code has a class, and 1000000 alone is no error', () => {
    for (const { code, message } of known) expect(classOf(code, message)).toBeTypeOf('string');
    expect(Object.values(ERROR_CLASSES).flat()).not.toContain(groups.ok?.[0]);
  });

  it.each<[ErrorClass, string]>([
    ['throttle', 'wait'],
    ['transient', 'retry'],
    ['notReady', 'retryLater'],
    ['credentials', 'pauseAccount'],
    ['bug', 'pauseAccount'],
    ['clock', 'pauseAccount'],
    ['wrongRegion', 'pauseAccount'],
    ['scope', 'pauseApi'],
    ['sellerMustAct', 'park'],
    ['alreadyDone', 'verify'],
    ['terminal', 'park'],
  ])('T16: what is done about %s is: %s', (errorClass, action) => {
    const failure = failureOf({ errorClass, code: 7, message: 'Temu’s words' });
    expect(actionOf(failure)).toBe(action);
    expect(failure).toMatchObject({ code: 7, message: 'Temu’s words' });
  });
});
