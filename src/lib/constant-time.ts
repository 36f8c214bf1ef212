import { createHash, timingSafeEqual } from 'node:crypto';

/** Whether two secrets are equal, in constant time whatever their lengths (R5). */
export function constantTimeEqual(a: string, b: string): boolean {
  const digest = (text: string) => createHash('sha256').update(text).digest();
  return timingSafeEqual(digest(a), digest(b));
}
