import { randomBytes } from 'node:crypto';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { createSecrets } from '../../src/db/secrets.ts';
import { UserError } from '../../src/lib/errors.ts';

const [first, second, third] = [randomBytes(32), randomBytes(32), randomBytes(32)];
const secrets = createSecrets([first]);
const CONTEXT = 'temu_stores.app_secret of 1';

describe('T1, R5: secrets at rest', () => {
  it('T1: what is sealed opens to the same text (property)', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'grapheme' }), fc.string({ unit: 'grapheme' }), (plain, context) => {
        const sealed = secrets.encrypt(plain, context);
        expect(secrets.decrypt(sealed, context)).toBe(plain);
        if (plain.length > 8) expect(sealed).not.toContain(plain);
      }),
    );
  });

  it('T1: the same text is sealed differently each time', () => {
    const sealed = Array.from({ length: 50 }, () => secrets.encrypt('same', CONTEXT));
    expect(new Set(sealed).size).toBe(50);
    expect(new Set(sealed.map((one) => one.split('.')[2])).size).toBe(50);
  });

  it('R5: sealed for one row, it does not open in another', () => {
    const sealed = secrets.encrypt('secret', CONTEXT);
    expect(() => secrets.decrypt(sealed, 'temu_stores.app_secret of 2')).toThrow(UserError);
    expect(() => secrets.decrypt(sealed, 'temu_stores.access_token of 1')).toThrow(/does not decrypt/);
  });

  it('T1: keys rotate: a former key still opens, the first one seals', () => {
    const old = secrets.encrypt('secret', CONTEXT);
    const rotated = createSecrets([second, first]);
    expect(rotated.decrypt(old, CONTEXT)).toBe('secret');
    expect(rotated.isOld(old)).toBe(true);
    const anew = rotated.encrypt('secret', CONTEXT);
    expect(rotated.isOld(anew)).toBe(false);
    expect(() => secrets.decrypt(anew, CONTEXT)).toThrow(UserError);
    expect(createSecrets([third, second, first]).decrypt(anew, CONTEXT)).toBe('secret');
  });

  it('T1: a key that is gone is named by its id, with where to put it', () => {
    const sealed = secrets.encrypt('secret', CONTEXT);
    const id = sealed.split('.')[1] as string;
    expect(() => createSecrets([second]).decrypt(sealed, CONTEXT)).toThrow(
      new UserError(
        `${CONTEXT} was encrypted with key ${id}, which is neither CREDENTIALS_KEY nor in CREDENTIALS_KEYS_OLD`,
      ),
    );
    expect(sealed).not.toContain(first.toString('base64url').slice(0, 8));
  });

  it('R5: any byte changed, any part cut: it does not open (property)', () => {
    const parts = secrets.encrypt('a secret of some length', CONTEXT).split('.');
    const bytes = (part: number) => Buffer.from(parts[part] as string, 'base64url');
    const bit = fc
      .integer({ min: 2, max: 4 })
      .chain((part) => fc.record({ part: fc.constant(part), at: fc.nat(bytes(part).length * 8 - 1) }));
    fc.assert(
      fc.property(bit, ({ part, at }) => {
        const changed = bytes(part);
        changed.writeUInt8(changed.readUInt8(at >> 3) ^ (1 << (at & 7)), at >> 3);
        const sealed = parts.with(part, changed.toString('base64url')).join('.');
        expect(() => secrets.decrypt(sealed, CONTEXT)).toThrow(/was altered/);
      }),
      { numRuns: 500 },
    );
  });

  it.each([4, 8, 12, 15, 0])(
    'R5: a tag cut to %i bytes, which is guessed sooner, does not open',
    (length) => {
      const parts = secrets.encrypt('secret', CONTEXT).split('.');
      const tag = Buffer.from(parts[3] as string, 'base64url')
        .subarray(0, length)
        .toString('base64url');
      expect(() => secrets.decrypt(parts.with(3, tag).join('.'), CONTEXT)).toThrow(UserError);
    },
  );

  it.each(['', 'plain text', 'v2.a.b.c.d', 'v1', 'v1.12345678', 'v1...', '.....'])(
    'R5: %j is no sealed secret, and the error shows none of it',
    (text) => {
      expect(() => secrets.decrypt(text, CONTEXT)).toThrow(UserError);
      expect(() => secrets.decrypt(`${text}planted`, CONTEXT)).not.toThrow(/planted(?!.*was sealed)/);
    },
  );
});
