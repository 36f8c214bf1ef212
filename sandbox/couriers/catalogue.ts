import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { codeRoot } from '../../src/lib/package-root.ts';
import type { CourierName } from './model.ts';
import type { AnyStandIn } from './stand-in.ts';

/** Every file of `apis/` is a simulated API, so that adding one touches nothing else. */
const HERE = join(codeRoot(), 'sandbox/couriers/apis');
const placeOf = ({ order = Number.MAX_SAFE_INTEGER }: AnyStandIn): number => order;
export const standIns: readonly AnyStandIn[] = (
  await Promise.all(
    readdirSync(HERE)
      .filter((file) => /^[a-z0-9-]+\.[jt]s$/.test(file))
      .sort()
      .map(async (file) => (await import(pathToFileURL(join(HERE, file)).href)).default as AnyStandIn),
  )
).sort((a, b) => placeOf(a) - placeOf(b));

/** The names of the tracking APIs. */
export const COURIERS: readonly CourierName[] = standIns.map(({ name }) => name);

export function standInOf(name: CourierName): AnyStandIn {
  const found = standIns.find((one) => one.name === name);
  if (!found) throw new Error(`no stand-in for ${name} in sandbox/couriers/apis`);
  return found;
}
