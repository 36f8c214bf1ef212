import { createHash, timingSafeEqual } from 'node:crypto';

/** Whether two secrets are the same, in constant time whatever their lengths (R5). */
export function sameText(a: string, b: string): boolean {
  const digest = (text: string) => createHash('sha256').update(text).digest();
  return timingSafeEqual(digest(a), digest(b));
}
