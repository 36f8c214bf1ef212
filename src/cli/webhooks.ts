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
import type { Fleet } from '../fleet/index.ts';
import { UserError } from '../lib/errors.ts';
import { plural } from '../lib/plural.ts';
import { type JsonOption, withFleet } from './context.ts';
import { green, print, red, relative, table, yellow } from './output.ts';

const TEST_MS = 10_000;

const events = (text: string): WebhookEvent[] => {
  const names = text.split(',').map((name) => name.trim());
  const known = names.filter(isWebhookEvent);
  if (known.length === 0 || known.length < names.length)
    throw new InvalidArgumentError(`expected a list of ${WEBHOOK_EVENTS.join(', ')}.`);
  return known;
};

const add = () =>
  new Command('add')
    .description('add an endpoint for signed HTTP requests; prints its signing secret once')
    .argument('<url>', 'endpoint URL: https://…')
    .requiredOption(
      '--events <list>',
      `events to send, separated by commas: ${WEBHOOK_EVENTS.join(', ')}`,
      events,
    )
    .option('--json', 'print one JSON document')
    .action((url: string, options: JsonOption & { events: WebhookEvent[] }) =>
      withFleet(async ({ db, secrets }) => {
        const { active: _, ...endpoint } = await addEndpoint(db, secrets, url, options.events);
        print(options, endpoint, () =>
          [
            `${endpoint.url} added for ${endpoint.events.join(' and ')}.`,
            ...(endpoint.url.startsWith('http:')
              ? [
                  yellow(
                    'This URL is not encrypted, and order.rto includes the customer’s phone number. Use https outside your own network.',
                  ),
                ]
              : []),
            `Signing secret, shown only once: ${endpoint.secret}`,
            'Verify each request: Orderfleet-Signature is t=SECONDS,v1=HEX, where HEX is the HMAC-SHA256 of "SECONDS.BODY" with the secret.',
            `Test it: orderfleet webhooks test ${endpoint.url}`,
          ].join('\n'),
        );
      }),
    );

const list = () =>
  new Command('list')
    .description('list the endpoints, with their deliveries of the last seven days')
    .option('--json', 'print one JSON document')
    .action((options: JsonOption) =>
      withFleet(async ({ db, clock }) => {
        const endpoints = await listEndpoints(db, clock());
        print(options, endpoints, () =>
          endpoints.length === 0
            ? 'No endpoint yet. Add one: orderfleet webhooks add --help'
            : table(
                ['URL', 'events', 'state', 'sent', 'waiting', 'failed', 'last sent', 'reason'],
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

/** A command on one endpoint, identified by its URL. */
const onEndpoint =
  (
    name: string,
    description: string,
    act: (fleet: Fleet, address: string) => Promise<string>,
    is: Record<string, true>,
    text: (url: string) => string,
  ) =>
  () =>
    new Command(name)
      .description(description)
      .argument('<url>')
      .option('--json', 'print one JSON document')
      .action((address: string, options: JsonOption) =>
        withFleet(async (fleet) => {
          const url = await act(fleet, address);
          print(options, { url, ...is }, () => text(url));
        }),
      );

const remove = onEndpoint(
  'remove',
  'remove an endpoint and cancel its pending events',
  ({ db }, address) => removeEndpoint(db, address),
  { removed: true },
  (url) => `${url} removed.`,
);

const resume = onEndpoint(
  'resume',
  'resume an endpoint that was stopped because it returned 410 Gone',
  ({ db }, address) => resumeEndpoint(db, address),
  { active: true },
  (url) => `${url} resumed.`,
);

const reseal = onEndpoint(
  'reseal',
  'encrypt an endpoint’s secret with the current CREDENTIALS_KEY; the secret stays the same',
  ({ db, secrets }, address) => resealEndpoint(db, secrets, address),
  { resealed: true },
  (url) => `Secret of ${url} encrypted with the current key.`,
);

const test = () =>
  new Command('test')
    .description('send a signed "ping" event now and show the response; exits 1 unless it is 2xx')
    .argument('<url>')
    .option('--json', 'print one JSON document')
    .action((address: string, options: JsonOption) =>
      withFleet(async ({ db, secrets, http, clock }) => {
        const url = normalAddress(address);
        const endpoint = await endpointOf(db, secrets, { url });
        if (!endpoint) throw new UserError(`No endpoint with URL ${url}. See: orderfleet webhooks list`);
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
    .description('list events that could not be delivered within a day, newest first')
    .option('--json', 'print one JSON document')
    .action((options: JsonOption) =>
      withFleet(async ({ db }) => {
        const deliveries = await failedDeliveries(db);
        print(options, deliveries, () =>
          deliveries.length === 0
            ? 'No failed events.'
            : `${table(
                ['id', 'event', 'URL', 'since', 'attempts', 'reason'],
                deliveries.map((one) => [
                  one.id,
                  one.event,
                  one.url ?? 'removed',
                  relative(one.since),
                  one.tries,
                  one.error,
                ]),
              )}\n\nTo retry: orderfleet webhooks retry ID, or --failed for all`,
        );
      }),
    );

const retry = () =>
  new Command('retry')
    .description('retry failed events: one, or with --failed all of them')
    .argument('[id]', 'event id, as webhooks failed shows it')
    .option('--failed', 'all failed events')
    .option('--json', 'print one JSON document')
    .action((id: string | undefined, options: JsonOption & { failed?: boolean }) =>
      withFleet(async ({ db, clock }) => {
        if (id === undefined && !options.failed)
          throw new UserError('Give an event id, or --failed for all. See: orderfleet webhooks failed');
        const retried = await retryDeliveries(db, clock(), id);
        if (id !== undefined && retried === 0)
          throw new UserError(`No failed event with id ${id}. See: orderfleet webhooks failed`);
        print(
          options,
          { retried },
          () => `Retrying ${plural(retried, 'event')}. To follow: orderfleet webhooks list`,
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
