import type { BullMQAdapter } from '@bull-board/api/bullMQAdapter';
import type { AfterHook, BeforeHook } from '@bull-board/api/typings/app';
import { serveStatic } from '@hono/node-server/serve-static';
import { Hono } from 'hono';
import { z } from 'zod';
import type { Fleet } from '../../fleet/index.ts';
import { queuesOf } from '../../fleet/works.ts';
import { messageOf } from '../../lib/errors.ts';
import type { QueueDefinition } from '../../queue/define.ts';
import { maintenance } from '../../queue/maintenance.ts';
import { assetUrl } from '../assets/index.ts';
import type { User, WebEnv } from '../context.ts';
import { HIDDEN, redactJobs, redactPayload, redactResult } from './redact.ts';

const BASE = '/queues';

/**
 * Bull Board for every queue (O3), mounted at /queues behind the login: with buttons for `write`, without for `read`.
 * Shows only those fields of a job that are in the queue's schema (T18).
 */
export function board(fleet: Fleet): Hono<WebEnv> {
  const { log } = fleet;
  // created on first use: it opens the queues, and takes twenty megabytes
  const boards: Partial<Record<User['role'], Hono>> = {};
  const boardOf = async (role: User['role']) => {
    boards[role] ??= await boardFor(fleet, role === 'read');
    return boards[role];
  };
  const app = new Hono<WebEnv>();
  app.all('*', async (c) => {
    const { name: user, role } = c.var.user;
    const answer = await (await boardOf(role)).fetch(c.req.raw, c.env);
    const { method, path } = c.req;
    if (method !== 'GET' && method !== 'HEAD')
      log.info({ user, method, path, status: answer.status }, 'queue changed by hand');
    const type = answer.headers.get('content-type') ?? '';
    if (path.startsWith(`${BASE}/static/`) && answer.ok)
      answer.headers.set('Cache-Control', 'private, max-age=86400'); // a day; their names contain a hash
    if (!type.startsWith('text/html')) return answer;
    return c.html(withoutForeignFonts(await answer.text()), answer.status as 200);
  });
  return app;
}

/** The page loads fonts from Google, which our content policy forbids. */
const withoutForeignFonts = (page: string) => page.replace(/<link [^>]*fonts\.googleapis\.com[^>]*>/g, '');

/** UTC as on all our pages. */
const TIME = { hour: '2-digit', minute: '2-digit', second: '2-digit', hourCycle: 'h23' } as const;
const ZONE = { timeZone: 'UTC', timeZoneName: 'short' } as const;
const DAY = { day: 'numeric', month: 'short' } as const;
const DATES = {
  short: { ...TIME, ...ZONE },
  common: { ...DAY, ...TIME, ...ZONE },
  full: { ...DAY, year: 'numeric', ...TIME, ...ZONE } as const,
};

/** Colours and fonts of our own pages (assets/style.css) for Bull Board's most visible tokens. */
const looks = (c: Record<'bg' | 'panel' | 'ink' | 'line' | 'hover' | 'accent', string>) => ({
  ...{ background: c.bg, card: c.panel, popover: c.panel, foreground: c.ink, border: c.line },
  ...{ primary: c.accent, 'primary-foreground': c.panel, ring: c.accent },
  ...{ 'state-hover': c.hover, 'state-selected': c.hover, 'state-selected-foreground': c.accent },
  ...{ sidebar: c.panel, 'sidebar-foreground': c.ink, 'sidebar-border': c.line, 'sidebar-primary': c.accent },
  ...{ 'sidebar-state-hover': c.hover, 'sidebar-state-selected': c.hover },
  'sidebar-state-selected-foreground': c.accent,
  'font-sans': 'system-ui, -apple-system, "Segoe UI", Roboto, "Noto Sans", sans-serif',
  'font-mono': 'ui-monospace, "SF Mono", Menlo, Consolas, monospace',
});
const THEME = {
  light: looks({
    ...{ bg: '#f6f7f9', panel: '#fff', ink: '#181c22', line: '#e2e5ea' },
    ...{ hover: '#f1f3f6', accent: '#2450c8' },
  }),
  dark: looks({
    ...{ bg: '#0e1115', panel: '#15191f', ink: '#e6e9ee', line: '#262c35' },
    ...{ hover: '#1b2028', accent: '#8db0ff' },
  }),
};

async function boardFor(fleet: Fleet, readOnlyMode: boolean): Promise<Hono> {
  const [{ createBullBoard }, { BullMQAdapter }, { HonoAdapter }] = await Promise.all([
    import('@bull-board/api'),
    import('@bull-board/api/bullMQAdapter'),
    import('@bull-board/hono'),
  ]);
  const server = new HonoAdapter(serveStatic).setBasePath(BASE);
  const definitions = new Map(
    // complete at runtime; the type declares only what its readers need
    (queuesOf(fleet) as QueueDefinition[]).map((definition) => [definition.name, definition]),
  );
  createBullBoard({
    queues: [...definitions.values()].map((definition) => {
      const adapter = new BullMQAdapter(fleet.queues.raw(definition.name), { readOnlyMode });
      return redacting(adapter, definition);
    }),
    serverAdapter: server,
    options: {
      uiConfig: {
        boardTitle: 'Orderfleet',
        boardLogo: { path: assetUrl('icon.svg'), width: 24, height: 24 },
        favIcon: { default: assetUrl('icon.svg'), alternative: assetUrl('icon.svg') },
        miscLinks: [
          { text: 'Overview', url: '/' },
          { text: 'Orders', url: '/orders' },
        ],
        theme: THEME,
        hideDocsLink: true,
        locale: { lng: 'en-US' },
        dateFormats: DATES,
      },
      handlerHooks: { before: likeAnyJob(definitions), after: redacted },
    },
  });
  server.setErrorHandler((error) => {
    fleet.log.error({ err: messageOf(error) }, 'Bull Board');
    return { status: 500, body: { error: { key: 'ERRORS.INTERNAL_SERVER_ERROR' } } };
  });
  return new Hono().route(BASE, server.registerPlugin());
}

function redacting(adapter: BullMQAdapter, definition: QueueDefinition): BullMQAdapter {
  adapter.setFormatter('data', (data) => redactPayload(definition.payload, data));
  adapter.setFormatter('returnValue', redactResult);
  adapter.setFormatter('progress', (progress) => (typeof progress === 'number' ? progress : HIDDEN));
  // our jobs are named after their queue or their schedule
  const ofSchedule = (key: unknown) => definition.name === maintenance.name && key;
  adapter.setFormatter('name', ({ name, repeatJobKey }) =>
    name === definition.name || name === ofSchedule(repeatJobKey) ? name : HIDDEN,
  );
  return adapter;
}

const redacted: AfterHook = ({ route }, { status, body }) => {
  const given = status ? { status } : {};
  // our handlers write no job logs, and our jobs have no children
  if (route.endsWith('/logs') && Array.isArray(body)) return { ...given, body: body.map(() => HIDDEN) };
  if (route.endsWith('/flow'))
    return { ...given, body: { ...Object(body), flowRoot: null, isFlowNode: false } };
  return { ...given, body: redactJobs(body) };
};

/**
 * A job that is added, duplicated or edited by hand: its payload must match the queue's schema, unknown fields are dropped,
 * and the queue's own retry options apply.
 */
const likeAnyJob =
  (definitions: ReadonlyMap<string, QueueDefinition>): BeforeHook =>
  ({ route, request }) => {
    const definition = definitions.get(request.params.queueName);
    const field = Object.entries(WRITING).find(([end]) => route.endsWith(end))?.[1];
    if (!definition || !field) return;
    const payload = definition.payload.safeParse(request.body[field]);
    if (!payload.success)
      return {
        allow: false,
        status: 400,
        errorKey: 'ERRORS.INVALID_REQUEST_BODY',
        message: z.prettifyError(payload.error),
      };
    request.body = { ...request.body, [field]: payload.data };
    if (field !== 'data') return;
    const { delay } = request.body.options ?? {};
    const options = { delay, attempts: definition.attempts, backoff: { type: 'custom' } };
    request.body = { name: definition.name, data: payload.data, options };
  };
const WRITING = { '/add': 'data', '/update-data': 'jobData' };
