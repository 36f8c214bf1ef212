import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { type Api, orderApis } from '../../sandbox/temu/apis.ts';
import { answerText } from '../../sandbox/temu/envelope.ts';
import { generateOrders } from '../../sandbox/temu/generator.ts';
import type { HostName } from '../../sandbox/temu/model.ts';
import { CONFIRM, shippingApis } from '../../sandbox/temu/shipment.ts';
import type { Params } from '../../sandbox/temu/sign.ts';
import { createWorld } from '../../sandbox/temu/world.ts';
import { answerParent } from '../support/child.ts';

// Temu for the order and AWB cases: the sandbox's orders and answers, each made once, without its checks, its quota and its
// records. argv: how many orders. A confirmation changes nothing, so that every turn finds the same orders.

export type TemuMessage = { do: 'forget' } | { do: 'count' } | { do: 'arrivals' };
export interface TemuCounts {
  url: string;
  /** Order lines of all orders. */
  lines: number;
  /** By type: calls, and how many different orders or parcels they were for. */
  calls: Record<string, { calls: number; different: number }>;
}

/** The store that the cases add. */
const SHOP = {
  name: 'bench',
  appKey: 'key-of-the-bench',
  appSecret: 'secret-of-the-bench',
  accessToken: 'token-of-the-bench',
  region: 'EU',
  country: 'RO',
} as const;

const world = createWorld({ now: () => Date.now(), offsetMs: 0 });
const shop = world.addShop({ ...SHOP, hosts: ['eu', 'us', 'global'] });
world.addOrders(
  shop,
  generateOrders({
    seed: 1,
    count: Number(process.argv[2]),
    shop,
    now: Date.now(),
    days: 5,
    scenarios: [{ name: 'plain', weight: 1, status: 2, updated: 'old' }],
  }),
);
const apis: Record<string, Api> = { ...orderApis, ...shippingApis };
const CONFIRMED = { ok: JSON.stringify({ assistantAgreementText: null, warningMessage: [] }) };

/** Milliseconds of the clock, finer than Date.now(). */
const now = () => performance.timeOrigin + performance.now();

let calls = new Map<string, Map<string, number>>();
/** When the request for each parcel came in. */
let arrivals = new Map<string, number>();

function answer(host: HostName, text: string, at: number): string {
  const params = JSON.parse(text) as Params & { type: string };
  const api = apis[params.type];
  if (!api) throw new Error(`nobody knows ${params.type}`);
  const numbers = [...text.matchAll(/"trackingNumber":"([^"]+)"/g)].map(([, number = '']) => number);
  for (const number of numbers) if (!arrivals.has(number)) arrivals.set(number, at);
  const about = calls.get(params.type) ?? new Map<string, number>();
  calls.set(params.type, about);
  for (const one of numbers.length > 0 ? numbers : [String(params.parentOrderSn ?? params.pageNumber)])
    about.set(one, (about.get(one) ?? 0) + 1);
  const rendered = params.type === CONFIRM ? CONFIRMED : api.handle({ params, shop, host, world });
  return answerText(host, api, rendered, at);
}

const server = createServer({ keepAliveTimeout: 75_000 }, (request, response) => {
  const at = now();
  const parts: Buffer[] = [];
  request.on('data', (part: Buffer) => parts.push(part));
  request.on('end', () => {
    const host = (request.url ?? '').split('/')[1] as HostName;
    const body = answer(host, Buffer.concat(parts).toString('utf8'), at);
    response.writeHead(200, {
      'content-type': 'application/json;charset=UTF-8',
      'content-length': Buffer.byteLength(body),
    });
    response.end(body);
  });
});
await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
const { port } = server.address() as AddressInfo;

answerParent((message: TemuMessage) => {
  if (message.do === 'arrivals') return Object.fromEntries(arrivals);
  if (message.do === 'count') {
    const counted = [...calls].map(([type, about]) => [
      type,
      { calls: [...about.values()].reduce((sum, n) => sum + n, 0), different: about.size },
    ]);
    const counts: TemuCounts = {
      url: `http://127.0.0.1:${port}`,
      lines: world.orders(shop).reduce((sum, { lines }) => sum + lines.length, 0),
      calls: Object.fromEntries(counted),
    };
    return counts;
  }
  calls = new Map();
  arrivals = new Map();
  return {};
});
