import { onTestFinished } from 'vitest';
import { demoShops } from '../../sandbox/demo-shops.ts';
import { type Sandbox, type SandboxOptions, startSandbox } from '../../sandbox/server.ts';
import { generateOrders } from '../../sandbox/temu/generator.ts';
import type { HostName, SandboxOrder, Shop, ShopSpec } from '../../sandbox/temu/model.ts';
import { type Params, signRequest } from '../../sandbox/temu/sign.ts';

export interface Answer {
  success: boolean;
  requestId: string;
  errorCode: number;
  errorMsg: string;
  result?: Record<string, unknown>;
}

/** A sandbox that ends with the test. */
export async function sandboxForTest(options: SandboxOptions = {}): Promise<Sandbox> {
  const sandbox = await startSandbox(options);
  onTestFinished(() => sandbox.close());
  return sandbox;
}

export function demoShop(sandbox: Sandbox, change: Partial<ShopSpec> = {}): Shop {
  return sandbox.world.addShop({ ...(demoShops()[0] as ShopSpec), shipsItself: true, ...change });
}

export function fill(sandbox: Sandbox, shop: Shop, count: number, seed = 1): SandboxOrder[] {
  const orders = generateOrders({ seed, count, shop, now: sandbox.world.clock.now(), days: 30 });
  sandbox.world.addOrders(shop, orders);
  return orders;
}

export interface CallOptions {
  host?: HostName;
  timestamp?: number;
  /** Changes the signed request. */
  spoil?: (params: Params) => Params;
  signal?: AbortSignal;
}

/** A signed call; the raw response. */
export function post(
  sandbox: Sandbox,
  shop: Shop,
  params: Params,
  options: CallOptions = {},
): Promise<Response> {
  const {
    host = 'eu',
    timestamp = Math.floor(sandbox.world.clock.now() / 1000),
    spoil = (same) => same,
  } = options;
  const signed = spoil(signRequest(params, shop, timestamp));
  return fetch(sandbox.routers[host], {
    method: 'POST',
    body: JSON.stringify(signed),
    headers: { 'content-type': 'application/json' },
    redirect: 'manual',
    signal: options.signal ?? null,
  });
}

export async function call(
  sandbox: Sandbox,
  shop: Shop,
  params: Params,
  options?: CallOptions,
): Promise<Answer> {
  return (await (await post(sandbox, shop, params, options)).json()) as Answer;
}

export const LIST = 'bg.order.list.get';
export const LIST_V2 = 'bg.order.list.v2.get';
export const AMOUNT = 'bg.order.amount.query';
export const SHIPPING = 'bg.order.shippinginfo.get';
export const SHIPPING_V2 = 'bg.order.shippinginfo.v2.get';
