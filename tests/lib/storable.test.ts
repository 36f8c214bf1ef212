import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { cut, storable, storableJson, storableValue } from '../../src/lib/storable.ts';
import { stringifyExact } from '../../src/temu/json.ts';

describe('what Postgres takes as text and as jsonb', () => {
  it.each([
    ['a\u0000b', 'ab'],
    ['cut emoji \ud83d', 'cut emoji \ufffd'],
    ['\ude00 the other half', '\ufffd the other half'],
    ['whole 😀', 'whole 😀'],
    ['\\u0000 written out', '\\u0000 written out'],
    ['\\\\ud83d', '\\\\ud83d'],
  ])('R4: %j becomes %j, as text and within JSON', (given, expected) => {
    expect(storable(given)).toBe(expected);
    expect(JSON.parse(storableJson(stringifyExact({ [given]: [given] })))).toEqual({
      [expected]: [expected],
    });
  });

  it('R4: any text at all, written out again, says the same without them (property)', () => {
    const nasty = fc.string({
      unit: fc.constantFrom('\u0000', '\\', 'u', '0000', 'd83d', '\ud83d', '\ude00', '"', 'é'),
    });
    fc.assert(
      fc.property(fc.oneof(nasty, fc.string({ unit: 'binary' })), (text) => {
        const json = storableJson(stringifyExact(text));
        expect(JSON.parse(json)).toBe(storable(text));
        expect(json).not.toContain('\u0000');
        expect(Buffer.from(JSON.parse(json)).toString()).toBe(JSON.parse(json));
      }),
      { numRuns: 500 },
    );
  });
});

describe('a value that is kept as JSON', () => {
  it('R4: is itself where it can be stored, else the same without what cannot, in keys too', () => {
    const fine = { text: 'whole 😀 \\u0000', list: [1, null, undefined], at: new Date(0) };
    expect(storableValue(fine)).toBe(fine);
    expect(storableValue(undefined)).toBeUndefined();
    expect(storableValue({ 'a\0': ['\ud83d', { b: '\0' }] })).toEqual({ a: ['\ufffd', { b: '' }] });
  });
});

describe('a text that is cut', () => {
  it('R4: never ends in half a character, and is no longer than it may be (property)', () => {
    expect(cut('ab😀', 3)).toBe('ab');
    expect(cut('ab😀', 4)).toBe('ab😀');
    fc.assert(
      fc.property(fc.string({ unit: 'grapheme' }), fc.nat(20), (text, length) => {
        const kept = cut(text, length);
        expect(kept.length).toBeLessThanOrEqual(length);
        expect(kept.length).toBeGreaterThanOrEqual(Math.min(text.length, length) - 1);
        expect(text.startsWith(kept)).toBe(true);
        expect(storable(kept)).toBe(kept);
      }),
    );
  });
});
