import { html } from 'hono/html';
import type { Child } from 'hono/jsx';
import { assetUrl } from '../assets/index.ts';
import type { User } from '../context.ts';

/** Without JavaScript a live page reloads this often; with it, charts.js refreshes it every 15 s. */
const RELOAD_SECONDS = 60;

export interface LayoutProps {
  /** Without personal data (T18). */
  title: string;
  /** undefined on the login page: no user yet, and no navigation. */
  user?: User | undefined;
  /** The entry of the navigation that this page belongs to. */
  here?: 'overview' | 'orders' | undefined;
  /** Its sections marked `data-live` are kept up to date. */
  live?: boolean | undefined;
  /** A user has logged in, and may log out. */
  signOut?: boolean | undefined;
  /** Result of the user's last action, shown once. */
  flash?: { text: string; good: boolean } | undefined;
  children?: Child;
}

const LINKS = [
  { key: 'overview', href: '/', text: 'Overview' },
  { key: 'orders', href: '/orders', text: 'Orders' },
  { key: 'queues', href: '/queues', text: 'Queues' },
] as const;

/** The layout of every page: head, navigation with search, and `main`. */
export const Layout = ({
  title,
  user,
  here,
  live,
  signOut,
  flash,
  children,
}: LayoutProps) => html`<!doctype html>
${(
  <html lang="en">
    <head>
      <meta charset="utf-8" />
      <title>{title} · Orderfleet</title>
      <meta name="viewport" content="width=device-width, initial-scale=1" />
      <meta name="color-scheme" content="light dark" />
      <meta name="robots" content="noindex" />
      <link rel="icon" href={assetUrl('icon.svg')} type="image/svg+xml" />
      <link rel="stylesheet" href={assetUrl('uPlot.min.css')} />
      <link rel="stylesheet" href={assetUrl('style.css')} />
      {live ? (
        <>
          <noscript>
            <meta http-equiv="refresh" content={String(RELOAD_SECONDS)} />
          </noscript>
          <script src={assetUrl('uPlot.iife.min.js')} defer></script>
          <script src={assetUrl('charts.js')} defer></script>
        </>
      ) : null}
    </head>
    <body>
      <a class="skip" href="#main">
        Skip to content
      </a>
      <header class="top">
        <a class="brand" href="/">
          Orderfleet
        </a>
        {user ? <Navigation user={user} here={here} signOut={signOut} /> : null}
      </header>
      <main id="main" tabindex={-1}>
        {flash ? (
          <p class={`flash ${flash.good ? 'ok' : 'bad'}`} role="status">
            {flash.text}
          </p>
        ) : null}
        {children}
      </main>
    </body>
  </html>
)}`;

const Navigation = ({
  user,
  here,
  signOut,
}: Required<Pick<LayoutProps, 'here' | 'signOut'>> & { user: User }) => (
  <>
    <nav class="menu" aria-label="Main">
      {LINKS.map(({ key, href, text }) => (
        <a href={href} aria-current={key === here ? 'page' : undefined}>
          {text}
        </a>
      ))}
    </nav>
    <search>
      <form action="/orders" method="get">
        <input
          type="search"
          name="q"
          aria-label="Order, AWB or LR number"
          placeholder="Order, AWB or LR number"
          autocomplete="off"
          spellcheck={false}
          maxlength={100}
          required
        />
        <button type="submit">Find</button>
      </form>
    </search>
    {signOut || user.role === 'read' ? (
      <div class="who">
        {signOut ? <span dir="auto">{user.name}</span> : null}
        {user.role === 'read' ? <span class="tag">read-only</span> : null}
        {signOut ? (
          <form method="post" action="/logout">
            <button class="quiet" type="submit">
              Log out
            </button>
          </form>
        ) : null}
      </div>
    ) : null}
  </>
);
