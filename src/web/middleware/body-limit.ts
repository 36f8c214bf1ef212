import type { MiddlewareHandler } from 'hono';
import { bodyLimit } from 'hono/body-limit';
import { problem } from '../pages/error-page.tsx';

/** Larger bodies get 413, also without a Content-Length (R4). */
export const limitBody = (maxSize: number): MiddlewareHandler =>
  bodyLimit({
    maxSize,
    onError: (c) => {
      c.header('Connection', 'close'); // the unread rest of the body would precede the next request
      return problem(c, 413, `The request body is larger than ${maxSize} bytes.`);
    },
  });
