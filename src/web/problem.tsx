import type { Context } from 'hono';
import type { ContentfulStatusCode } from 'hono/utils/http-status';
import { Layout } from './layout.tsx';
import { wantsPage } from './request.ts';

const TITLES: Partial<Record<ContentfulStatusCode, string>> = {
  403: 'Not allowed',
  404: 'Nothing is here',
  413: 'Too much',
  421: 'Not this way',
  500: 'Something went wrong',
};

/** An answer that says what is wrong and what to do: a page for a person, `{ "error" }` for a program. */
export function problem(
  c: Context,
  status: ContentfulStatusCode,
  text: string,
): Response | Promise<Response> {
  if (!wantsPage(c)) return c.json({ error: text }, status);
  const title = TITLES[status] ?? 'This did not work';
  return c.html(
    <Layout title={title}>
      <section class="card">
        <h1>{title}</h1>
        <p>{text}</p>
        <p>
          <a href="/">To the overview</a>
        </p>
      </section>
    </Layout>,
    status,
  );
}
