import { expect } from 'vitest';
import { z } from 'zod';
import type { CourierOptions } from '../../sandbox/couriers/couriers.ts';
import type { CourierName } from '../../sandbox/couriers/model.ts';
import type { Sandbox } from '../../sandbox/server.ts';
import { couriers } from '../../src/tracking/registry.ts';
import type { CourierRequest } from '../../src/tracking/toolkit/courier.ts';
import { sandboxForTest } from './client.ts';

export interface Reply {
  status: number;
  headers: Headers;
  text: string;
  // biome-ignore lint/suspicious/noExplicitAny: tests look at whatever an API says
  json: any;
}

export async function request(url: string, init: RequestInit = {}): Promise<Reply> {
  const response = await fetch(url, init);
  const text = await response.text();
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch {
    json = undefined;
  }
  return { status: response.status, headers: response.headers, text, json };
}

export function post(url: string, body: unknown, headers: Record<string, string> = {}): Promise<Reply> {
  return request(url, {
    method: 'POST',
    body: typeof body === 'string' ? body : JSON.stringify(body),
    headers: { 'content-type': 'application/json', ...headers },
  });
}

/** A client of five couriers that knows the demo credentials. */
export async function courierTest(couriers: CourierOptions = {}, more: { speed?: number } = {}) {
  const sandbox = await sandboxForTest({ couriers, ...more });
  return { sandbox, ...clientOf(sandbox) };
}

export function clientOf(sandbox: Sandbox) {
  const env = sandbox.env() as Record<string, string>;
  const bearer = (token: string) => ({ authorization: `Bearer ${token}` });
  return {
    env,
    api: sandbox.couriers.api,
    parcels: sandbox.couriers.parcels,
    b2c: (
      numbers: readonly string[],
      query = '',
      headers = { authorization: `Token ${env.DELHIVERY_AUTH_TOKEN_B2C}` },
    ) => request(`${env.DELHIVERY_URL}?waybill=${numbers.join(',')}${query}`, { headers }),
    b2bLogin: async (password = env.DELHIVERY_B2B_PASSWORD) =>
      post(`${env.DELHIVERY_B2B_URL}/ums/login`, { username: env.DELHIVERY_B2B_USERNAME, password }),
    b2b: (lr: string, token: string, query = '') =>
      request(`${env.DELHIVERY_B2B_URL}/lrn/track?lrnum=${lr}${query}`, { headers: bearer(token) }),
    shiprocketLogin: (password = env.SHIPROCKET_PASSWORD) =>
      post(`${env.SHIPROCKET_URL}/auth/login`, { email: env.SHIPROCKET_EMAIL, password }),
    shiprocket: (awbs: unknown, token: string) =>
      post(`${env.SHIPROCKET_URL}/courier/track/awbs`, { awbs }, bearer(token)),
    velocityLogin: (password = env.VELOCITY_PASSWORD) =>
      post(`${env.VELOCITY_URL}/auth-token`, { username: env.VELOCITY_USERNAME, password }),
    velocity: (awbs: unknown, authorization: string) =>
      post(`${env.VELOCITY_URL}/order-tracking`, { awbs }, { authorization }),
    fallback: (wbn: string, origin = 'https://www.delhivery.com') =>
      request(`${env.DELHIVERY_FALLBACK_URL}?wbn=${wbn}`, { headers: { origin } }),
  };
}

export type Client = ReturnType<typeof clientOf>;

export const HOUR = 3_600_000;
export const DAY = 24 * HOUR;

/** What one API says of one number, as word and time, whichever API it is. */
export async function wordOf(client: Client, api: CourierName, number: string): Promise<string | null> {
  switch (api) {
    case 'delhivery-b2c': {
      const item = (await client.b2c([number])).json.ShipmentData?.[0]?.Shipment;
      return item ? `${item.Status.StatusType}/${item.Status.Status}` : null;
    }
    case 'delhivery-b2b': {
      const { json } = await client.b2b(number, client.api[api].account?.issue() as string);
      return json.success ? json.data.status : null;
    }
    case 'shiprocket': {
      const { json } = await client.shiprocket([number], client.api[api].account?.issue() as string);
      const data = json[number]?.tracking_data;
      return data ? (data.shipment_track?.[0].current_status ?? data.error) : null;
    }
    case 'velocity': {
      const { json } = await client.velocity([number], client.api[api].account?.issue() as string);
      return json.result[number]?.tracking_data.shipment_status ?? null;
    }
    case 'delhivery-fallback': {
      const { json } = await client.fallback(number);
      return json.data[0] ? `${json.data[0].status.statusType}/${json.data[0].hqStatus}` : null;
    }
    default:
      // some allow one request a second
      client.api[api].resetWindow();
      return await meaningOf(client.env, api, number);
  }
}

/** What one API says of one number, as that courier's own file asks for it and reads it; null: not found. */
async function meaningOf(env: Record<string, string>, api: string, number: string): Promise<string | null> {
  const courier = couriers.find(({ name }) => name === api);
  const connection = courier?.connect(z.object(courier.settings).parse(env));
  if (!courier || !connection) throw new Error(`${api}'s env() of the sandbox does not switch it on`);
  const send = async ({ url, ...init }: CourierRequest, more: Record<string, string> = {}) => {
    const response = await fetch(url, { ...init, headers: { ...init.headers, ...more } });
    return { status: response.status, headers: {}, text: await response.text() };
  };
  const { schemes, key, login } = connection.access;
  const token = login ? login.read(await send(login.request)) : undefined;
  if (token?.ok === false) throw new Error(token.failure.message);
  const answer = await send(connection.request([number]), schemes[0](token?.value.value ?? key ?? ''));
  const read = courier.read(answer, [number], Date.now());
  if (!read.ok) throw new Error(read.failure.message);
  const item = read.value.get(number);
  return item?.is === 'scan' ? (item.means ?? item.rawStatus) : null;
}

export function fixtureKeys(value: unknown): string[] {
  expect(value).toBeTypeOf('object');
  return Object.keys(value as object).sort();
}
