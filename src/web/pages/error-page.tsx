import type { Context } from 'hono';
import type { ContentfulStatusCode } from 'hono/utils/http-status';
import { wantsPage } from '../request.ts';
import { Layout } from './layout.tsx';

const TITLES: Partial<Record<ContentfulStatusCode, string>> = {
  403: 'Not allowed',
  404: 'Page not found',
  413: 'Request too large',
  421: 'Wrong address',
  500: 'Something went wrong',
};

/** An error response with its remedy: a page for browsers, `{ "error" }` for programs. */
export function problem(
  c: Context,
  status: ContentfulStatusCode,
  text: string,
): Response | Promise<Response> {
  if (!wantsPage(c)) return c.json({ error: text }, status);
  const title = TITLES[status] ?? 'Request failed';
  return c.html(
    <Layout title={title}>
      <section class="card">
        <h1>{title}</h1>
        <p>{text}</p>
        <p>
          <a href="/">Back to the overview</a>
        </p>
      </section>
    </Layout>,
    status,
  );
}
