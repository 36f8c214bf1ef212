import { createCipheriv, createDecipheriv, createHash, randomBytes } from 'node:crypto';
import { UserError } from '../lib/errors.ts';

/**
 * Secrets at rest (T1, R5): AES-256-GCM, as `v1.<key id>.<iv>.<tag>.<ciphertext>` in base64url. The key id is kept
 * beside the ciphertext so that keys can be rotated; `context` (table, column, row) is authenticated, so that a
 * ciphertext copied to another row does not decrypt there.
 */
export interface Secrets {
  encrypt(plain: string, context: string): string;
  /** @throws UserError when the key is not among ours or the text was altered. */
  decrypt(sealed: string, context: string): string;
  /** True when `sealed` was made with a former key and should be re-encrypted. */
  isOld(sealed: string): boolean;
}

const idOf = (key: Buffer) =>
  createHash('sha256').update('orderfleet key id').update(key).digest('hex').slice(0, 8);

/** @param keys 32 bytes each; the first encrypts, all decrypt. */
export function createSecrets(keys: readonly [Buffer, ...Buffer[]]): Secrets {
  const byId = new Map(keys.map((key) => [idOf(key), key]));
  const currentId = idOf(keys[0]);

  return {
    encrypt(plain, context) {
      const iv = randomBytes(12);
      const cipher = createCipheriv('aes-256-gcm', keys[0], iv).setAAD(Buffer.from(context));
      const sealed = Buffer.concat([cipher.update(plain, 'utf8'), cipher.final()]);
      const part = (bytes: Buffer) => bytes.toString('base64url');
      return ['v1', currentId, part(iv), part(cipher.getAuthTag()), part(sealed)].join('.');
    },
    decrypt(sealed, context) {
      const [version, id, iv, tag, text] = sealed.split('.');
      const key = byId.get(id ?? '');
      if (version !== 'v1' || !iv || !tag || text === undefined)
        throw new UserError(`${context} is not an encrypted secret`);
      if (!key)
        throw new UserError(
          `${context} was encrypted with key ${id}, which is neither CREDENTIALS_KEY nor in CREDENTIALS_KEYS_OLD`,
        );
      try {
        const decipher = createDecipheriv('aes-256-gcm', key, Buffer.from(iv, 'base64url'), {
          authTagLength: 16, // without it, four bytes of the tag would be accepted
        })
          .setAAD(Buffer.from(context))
          .setAuthTag(Buffer.from(tag, 'base64url'));
        return Buffer.concat([decipher.update(Buffer.from(text, 'base64url')), decipher.final()]).toString(
          'utf8',
        );
      } catch {
        throw new UserError(`${context} does not decrypt: it was altered, or belongs to another row`);
      }
    },
    isOld: (sealed) => sealed.split('.')[1] !== currentId,
  };
}
