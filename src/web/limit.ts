import type { MiddlewareHandler } from 'hono';
import { bodyLimit } from 'hono/body-limit';
import { problem } from './problem.tsx';

/** Bodies of more bytes are refused with 413, also when their length is not told (R4). */
export const limitBody = (maxSize: number): MiddlewareHandler =>
  bodyLimit({
    maxSize,
    onError: (c) => {
      c.header('Connection', 'close'); // what is left of the body would be in the next request's way
      return problem(c, 413, `More than ${maxSize} bytes are not taken.`);
    },
  });
