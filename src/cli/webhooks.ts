import { randomUUID } from 'node:crypto';
import { Command, InvalidArgumentError } from 'commander';
import {
  addEndpoint,
  callEndpoint,
  endpointOf,
  failedDeliveries,
  isWebhookEvent,
  listEndpoints,
  normalAddress,
  removeEndpoint,
  resealEndpoint,
  resumeEndpoint,
  retryDeliveries,
  WEBHOOK_EVENTS,
  type WebhookEvent,
} from '../alerts/index.ts';
import { UserError } from '../errors.ts';
import type { Fleet } from '../fleet.ts';
import { type JsonOption, withFleet } from './context.ts';
import { green, print, red, relative, table, yellow } from './output.ts';

const TEST_MS = 10_000;

const events = (text: string): WebhookEvent[] => {
  const names = text.split(',').map((name) => name.trim());
  const known = names.filter(isWebhookEvent);
  if (known.length === 0 || known.length < names.length)
    throw new InvalidArgumentError(`a list of ${WEBHOOK_EVENTS.join(', ')}.`);
  return known;
};

const add = () =>
  new Command('add')
    .description('tell a program by signed HTTP requests; prints the secret that signs them, this once')
    .argument('<url>', 'where requests go: https://…')
    .requiredOption(
      '--events <list>',
      `what it is told, separated by commas: ${WEBHOOK_EVENTS.join(', ')}`,
      events,
    )
    .option('--json', 'print one JSON document')
    .action((url: string, options: JsonOption & { events: WebhookEvent[] }) =>
      withFleet(async ({ db, secrets }) => {
        const { active: _, ...endpoint } = await addEndpoint(db, secrets, url, options.events);
        print(options, endpoint, () =>
          [
            `${endpoint.url} is told ${endpoint.events.join(' and ')} from now on.`,
            ...(endpoint.url.startsWith('http:')
              ? [
                  yellow(
                    'It is not encrypted on its way: order.rto carries the customer’s phone. Use https outside a network of yours.',
                  ),
                ]
              : []),
            `Secret, shown this once: ${endpoint.secret}`,
            'Check each request: Orderfleet-Signature is t=SECONDS,v1=HEX, where HEX is the HMAC-SHA256 of "SECONDS.BODY" with the secret.',
            `Try it: orderfleet webhooks test ${endpoint.url}`,
          ].join('\n'),
        );
      }),
    );

const list = () =>
  new Command('list')
    .description('the endpoints, and what became of their events in the last seven days')
    .option('--json', 'print one JSON document')
    .action((options: JsonOption) =>
      withFleet(async ({ db, clock }) => {
        const endpoints = await listEndpoints(db, clock());
        print(options, endpoints, () =>
          endpoints.length === 0
            ? 'No endpoint yet. Add one: orderfleet webhooks add --help'
            : table(
                ['address', 'events', 'state', 'sent', 'waiting', 'failed', 'last sent', 'why'],
                endpoints.map((one) => [
                  one.url,
                  one.events.join(', '),
                  one.active ? green('on') : red('stopped'),
                  one.sent,
                  one.waiting,
                  one.failed ? red(String(one.failed)) : 0,
                  one.lastSentAt ? relative(one.lastSentAt) : null,
                  one.error,
                ]),
              ),
        );
      }),
    );

/** A command that does one thing to an endpoint, named by its address. */
const onEndpoint =
  (
    name: string,
    description: string,
    act: (fleet: Fleet, address: string) => Promise<string>,
    is: Record<string, true>,
    said: (url: string) => string,
  ) =>
  () =>
    new Command(name)
      .description(description)
      .argument('<url>')
      .option('--json', 'print one JSON document')
      .action((address: string, options: JsonOption) =>
        withFleet(async (fleet) => {
          const url = await act(fleet, address);
          print(options, { url, ...is }, () => said(url));
        }),
      );

const remove = onEndpoint(
  'remove',
  'tell an endpoint nothing any more; what waits for it is withdrawn',
  ({ db }, address) => removeEndpoint(db, address),
  { removed: true },
  (url) => `${url} is removed.`,
);

const resume = onEndpoint(
  'resume',
  'take an endpoint into service again that was stopped because it answered 410 Gone',
  ({ db }, address) => resumeEndpoint(db, address),
  { active: true },
  (url) => `${url} goes on.`,
);

const reseal = onEndpoint(
  'reseal',
  'seal an endpoint’s secret with the current CREDENTIALS_KEY; it stays the same',
  ({ db, secrets }, address) => resealEndpoint(db, secrets, address),
  { resealed: true },
  (url) => `The secret of ${url} is sealed with the current key.`,
);

const test = () =>
  new Command('test')
    .description('send a signed event "ping" now and show the answer; ends 1 when it is no 2xx')
    .argument('<url>')
    .option('--json', 'print one JSON document')
    .action((address: string, options: JsonOption) =>
      withFleet(async ({ db, secrets, http, clock }) => {
        const url = normalAddress(address);
        const endpoint = await endpointOf(db, secrets, { url });
        if (!endpoint) throw new UserError(`No endpoint ${url}. See: orderfleet webhooks list`);
        const id = randomUUID();
        const startedAt = performance.now();
        const answer = await callEndpoint(http, endpoint, {
          ...{ id, event: 'ping', nowMs: clock(), timeoutMs: TEST_MS, signal: undefined },
          body: JSON.stringify({ event: 'ping', id, occurred_at: new Date(clock()).toISOString() }),
        });
        const ms = Math.round(performance.now() - startedAt);
        const why = answer.ok ? null : answer.failure.message;
        print(options, { url, id, ok: answer.ok, status: answer.ok ? answer.status : null, why, ms }, () =>
          answer.ok ? green(`HTTP ${answer.status} after ${ms} ms`) : red(`${why} (after ${ms} ms)`),
        );
        if (!answer.ok) process.exitCode = 1;
      }),
    );

const failed = () =>
  new Command('failed')
    .description('events that could not be delivered within a day, the newest first')
    .option('--json', 'print one JSON document')
    .action((options: JsonOption) =>
      withFleet(async ({ db }) => {
        const deliveries = await failedDeliveries(db);
        print(options, deliveries, () =>
          deliveries.length === 0
            ? 'Nothing failed.'
            : `${table(
                ['id', 'event', 'address', 'since', 'tries', 'why'],
                deliveries.map((one) => [
                  one.id,
                  one.event,
                  one.url ?? 'removed',
                  relative(one.since),
                  one.tries,
                  one.error,
                ]),
              )}\n\nAgain: orderfleet webhooks retry ID, or --failed for all`,
        );
      }),
    );

const retry = () =>
  new Command('retry')
    .description('deliver events again that have failed: one, or with --failed all of them')
    .argument('[id]', 'as "webhooks failed" shows it')
    .option('--failed', 'all that have failed')
    .option('--json', 'print one JSON document')
    .action((id: string | undefined, options: JsonOption & { failed?: boolean }) =>
      withFleet(async ({ db, clock }) => {
        if (id === undefined && !options.failed)
          throw new UserError(
            'Name an event by its id, or --failed for all. See: orderfleet webhooks failed',
          );
        const retried = await retryDeliveries(db, clock(), id);
        if (id !== undefined && retried === 0)
          throw new UserError(`No failed event ${id}. See: orderfleet webhooks failed`);
        print(
          options,
          { retried },
          () =>
            `${retried} ${retried === 1 ? 'is' : 'are'} due again; orderfleet webhooks list shows how it goes.`,
        );
      }),
    );

export const webhooksCommand = () => {
  const command = new Command('webhooks');
  for (const one of [add, list, remove, resume, reseal, test, failed, retry]) command.addCommand(one());
  return command.addHelpText(
    'after',
    `
Examples:
  orderfleet webhooks add https://crm.example/hooks/orderfleet --events order.rto
  orderfleet webhooks test https://crm.example/hooks/orderfleet
  orderfleet webhooks retry --failed`,
  );
};
