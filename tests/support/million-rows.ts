import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { Result } from '../../src/lib/errors.ts';
import { createHttp } from '../../src/lib/http.ts';
import { amountResponse, listItem, listPage, parseResponse } from '../../src/temu/orders/responses.ts';
import { couriers } from '../../src/tracking/registry.ts';

/** Reads a million wrong rows in each way there is, and prints the failures and how much memory they took (R4). */
const ROWS = 1_000_000;
const failures: Record<string, string> = {};
const note = (who: string, result: Result<unknown>) => {
  failures[who] = result.ok
    ? 'read'
    : `${result.failure.kind}: ${result.failure.message.replace(/^\w+ .*?: /, '')}`;
};
const bodyOf = (row: string) =>
  Buffer.from(`{"success":true,"result":{"parentOrderMap":{},"orderList":[${`${row},`.repeat(ROWS)}1]}}`);
const bodies = { '/': bodyOf('1'), '/objects': bodyOf('{}') };
const server = createServer((request, response) => response.end(bodies[request.url as '/']));
server.listen(0, '127.0.0.1');
await once(server, 'listening');
const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
const http = createHttp();
await http.request({ url, method: 'GET', timeoutMs: 10_000 }); // once, for what the client itself needs

const rows: unknown[] = new Array(ROWS).fill(1);
const list = JSON.stringify(rows);
global.gc?.();
const before = process.resourceUsage().maxRSS;
note('HTTP, [1,1,…]', await http.request({ url, method: 'GET', timeoutMs: 10_000 }));
note('HTTP, [{},{},…]', await http.request({ url: `${url}/objects`, method: 'GET', timeoutMs: 10_000 }));
await http.close();
server.close();

// what the schemas make of them, were they to come that far
const parentOrderMap = { parentOrderSn: 'PO-1', updateTime: 1 };
note(
  'order list',
  parseResponse('orderList', listPage, { ok: true, value: { totalItemNum: 1, pageItems: rows } }),
);
note(
  'lines of an order',
  parseResponse('orderList', listItem, { ok: true, value: { parentOrderMap, orderList: rows } }),
);
note(
  'prices',
  parseResponse('orderAmount', amountResponse, { ok: true, value: { parentOrderMap: {}, orderList: rows } }),
);
const LISTS: Record<string, string> = {
  'delhivery-b2c': `{"ShipmentData":${list}}`,
  'delhivery-b2b': `{"data":{"status":"OFD","wbns":${list}}}`,
  'delhivery-fallback': `{"data":${list}}`,
  velocity: `{"result":${list}}`,
};
for (const courier of couriers) {
  const response = { status: 200, headers: {}, text: LISTS[courier.name] ?? list };
  note(courier.name, courier.read(response, ['1', '2'], 0));
  global.gc?.();
}
console.log(
  JSON.stringify({ failures, grownMb: Math.round((process.resourceUsage().maxRSS - before) / 1024) }),
);
