import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { parseExact, stringifyExact } from '../../src/temu/json.ts';

describe('JSON as Temu means it', () => {
  it('keeps whole numbers above 2^53 through reading and writing, nested as well', () => {
    const text = '{"a":[9007199254740993,{"b":-897039159485005824}],"c":9007199254740991,"d":1.5,"e":null}';
    expect(stringifyExact(parseExact(text))).toBe(text);
  });

  it('R4: what was read can be written again, or was not read: depth, digits', () => {
    expect(parseExact('['.repeat(100) + ']'.repeat(100))).toBeInstanceOf(Array);
    expect(() => parseExact('['.repeat(101) + ']'.repeat(101))).toThrow(SyntaxError);
    expect(() => parseExact(`{"a":${'{"a":'.repeat(100)}1${'}'.repeat(101)}`)).toThrow(SyntaxError);
    expect(parseExact(`${'1'.repeat(100)}`)).toBe(BigInt('1'.repeat(100)));
    expect(() => parseExact('1'.repeat(101))).toThrow(SyntaxError);
    // side by side is not deep
    expect(parseExact(`[${'[],'.repeat(1_000)}{}]`)).toHaveLength(1_001);
  });

  it('R4: depth is counted outside of texts alone (property)', () => {
    fc.assert(
      fc.property(fc.array(fc.string({ unit: fc.constantFrom('[', '{', '"', '\\', 'x', '}') })), (texts) => {
        const json = JSON.stringify(texts.map((text) => text.repeat(60)));
        expect(parseExact(json)).toEqual(JSON.parse(json));
      }),
    );
  });

  it('does what JSON.parse does wherever numbers are safe (property)', () => {
    fc.assert(
      fc.property(fc.jsonValue({ noUnicodeString: false }), (value) => {
        const text = JSON.stringify(value);
        fc.pre(!text.includes('__proto__') && !/\de[+]?\d|-0[,\]}]|^-0$|\d{16}/.test(text));
        expect(stringifyExact(parseExact(text))).toBe(JSON.stringify(JSON.parse(text)));
      }),
    );
  });

  it('R4: a key "__proto__" changes no prototype', () => {
    const read = parseExact('{"__proto__":{"success":true}}') as Record<string, unknown>;
    expect(read.success).toBeUndefined();
    expect(({} as Record<string, unknown>).success).toBeUndefined();
  });
});
