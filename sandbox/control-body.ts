import type { Context, Hono } from 'hono';
import { z } from 'zod';

export type App = Hono;

/** The validated body; throws one line per error. An empty body is an empty object. */
export async function body<T>(c: Context, shape: z.ZodType<T>): Promise<T> {
  const text = await c.req.text();
  return checked(shape, text === '' ? {} : JSON.parse(text), 'body');
}

export function query<T>(c: Context, shape: z.ZodType<T>): T {
  return checked(shape, c.req.query(), 'query');
}

export function checked<T>(shape: z.ZodType<T>, value: unknown, where: string): T {
  const result = shape.safeParse(value);
  if (result.success) return result.data;
  throw new Error(`wrong ${where}: ${z.prettifyError(result.error)}`);
}
