import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { answerParent } from '../support/child.ts';

// The courier of the tracking cases: Delhivery's B2C API as far as a parcel's status goes. Every parcel was picked up a day
// ago and is on its way, with six scans; nothing is computed per request but the numbers.

export type CourierMessage =
  | { do: 'forget' }
  | { do: 'limit'; limit: { max: number; seconds: number } | null }
  | { do: 'count' };
export interface CourierCounts {
  url: string;
  requests: number;
  refused: number;
  /** Numbers that were answered, how many different ones, and how many of those more than once. */
  answered: number;
  different: number;
  repeated: number;
}

const HOUR_MS = 3_600_000;
const startedAt = Date.now();
/** India's time without a zone. */
const hoursAgo = (hours: number) =>
  new Date(startedAt - hours * HOUR_MS + 5.5 * HOUR_MS).toISOString().replace('Z', '');

const WORDS = ['Manifested', 'In Transit', 'In Transit', 'In Transit', 'In Transit', 'In Transit'];
const scans = WORDS.map((Scan, no) => ({
  ScanDetail: {
    ScanDateTime: hoursAgo(26 - 4 * no),
    ScanType: 'UD',
    Scan,
    StatusDateTime: hoursAgo(26 - 4 * no),
    ScannedLocation: `Bengaluru_Hub_${no} (Karnataka)`,
    Instructions: no === 0 ? 'Consignment manifested' : 'Shipment received at hub',
    StatusCode: no === 0 ? 'X-UCI' : 'X-ILL1F',
  },
}));
const rest = JSON.stringify({
  PickUpDate: hoursAgo(30),
  PickedupDate: hoursAgo(24),
  Destination: 'Pune',
  DestRecieveDate: null,
  DeliveryDate: null,
  ReturnedDate: null,
  RTOStartedDate: null,
  Status: {
    Status: 'In Transit',
    StatusLocation: 'Bengaluru_Hub_5 (Karnataka)',
    StatusDateTime: hoursAgo(6),
    RecievedBy: '',
    StatusCode: 'X-ILL1F',
    StatusType: 'UD',
    Instructions: 'Shipment received at hub',
  },
  Scans: scans,
}).slice(1);
const parcel = (awb: string) => `{"Shipment":{"AWB":"${awb}","ReferenceNo":"ORD-${awb}",${rest}}`;

let answered = new Map<string, number>();
let requests = 0;
let refused = 0;
let limit: { max: number; seconds: number } | null = null;
let arrivals: number[] = [];

/** A limit over a sliding window, as a strict API counts it. */
function mayPass(now: number): boolean {
  if (!limit) return true;
  const since = now - limit.seconds * 1000;
  arrivals = arrivals.filter((at) => at > since);
  if (arrivals.length >= limit.max) return false;
  arrivals.push(now);
  return true;
}

const server = createServer({ keepAliveTimeout: 75_000 }, (request, response) => {
  requests++;
  if (!mayPass(performance.now())) {
    refused++;
    response.writeHead(429, { 'retry-after': '1' }).end();
    return;
  }
  const numbers = (new URL(request.url ?? '', 'http://courier').searchParams.get('waybill') ?? '').split(',');
  for (const awb of numbers) answered.set(awb, (answered.get(awb) ?? 0) + 1);
  const body = `{"ShipmentData":[${numbers.map(parcel).join(',')}]}`;
  response.writeHead(200, { 'content-type': 'application/json', 'content-length': Buffer.byteLength(body) });
  response.end(body);
});
await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
const { port } = server.address() as AddressInfo;

answerParent((message: CourierMessage) => {
  if (message.do === 'limit') limit = message.limit;
  if (message.do === 'count') {
    const times = [...answered.values()];
    const counts: CourierCounts = {
      url: `http://127.0.0.1:${port}/api/v1/packages/json/`,
      requests,
      refused,
      answered: times.reduce((sum, n) => sum + n, 0),
      different: times.length,
      repeated: times.filter((n) => n > 1).length,
    };
    return counts;
  }
  answered = new Map();
  arrivals = [];
  requests = refused = 0;
  return {};
});
