import { readFileSync, renameSync, writeFileSync } from 'node:fs';
import { rename, writeFile } from 'node:fs/promises';
import type { Couriers } from './couriers/couriers.ts';
import type { Parcel } from './couriers/model.ts';
import type { Attempt, Effects } from './effects.ts';
import type { Life, LifeSnapshot } from './temu/life.ts';
import type { Package, SandboxOrder, Shop } from './temu/model.ts';
import { shipWhatWasTold } from './temu/shipment.ts';
import type { World, WorldSnapshot } from './temu/world.ts';

/**
 * The sandbox's state as a file: one JSON document per line (a header, then shops each followed by their orders, then
 * Temu's parcels, attempts and the couriers' parcels), so that thousands of orders can be saved in slices without delaying
 * responses.
 */
type Line =
  | { format: 1; savedAt: string }
  | { shop: Shop }
  | { order: SandboxOrder }
  | { parcel: Package }
  | { effect: Attempt }
  | { courierParcel: Parcel }
  | { life: LifeSnapshot };

interface StateParts {
  world: World;
  life: Life;
  effects: Effects;
  couriers: Pick<Couriers, 'parcels'>;
}

function* lines({ world, life, effects, couriers }: StateParts): Generator<string> {
  const line = (value: Line): string => JSON.stringify(value);
  yield line({ format: 1, savedAt: new Date().toISOString() });
  for (const { shop, orders } of world.snapshot().shops) {
    yield line({ shop });
    for (const order of [...orders]) yield line({ order });
  }
  // After the orders: an order that is confirmed while slices are written is corrected on loading, not the reverse.
  for (const parcel of world.packages.list()) yield line({ parcel });
  for (const effect of effects.attempts()) yield line({ effect });
  for (const courierParcel of couriers.parcels.list()) yield line({ courierParcel });
  yield line({ life: life.snapshot() });
}

/** Saves synchronously, at the end of the process. */
export function saveStateSync(file: string, parts: StateParts): void {
  writeFileSync(`${file}.tmp`, `${[...lines(parts)].join('\n')}\n`, { mode: 0o600 });
  renameSync(`${file}.tmp`, file);
}

/** Orders between two yields to the event loop: about 5 ms of work. */
const SLICE = 500;

/** Saves in slices. The old file stays until the new one is complete. */
export async function saveState(file: string, parts: StateParts): Promise<void> {
  const written: string[] = [];
  for (const line of lines(parts)) {
    written.push(line);
    if (written.length % SLICE === 0) await new Promise((resolve) => setImmediate(resolve));
  }
  await writeFile(`${file}.part`, `${written.join('\n')}\n`, { mode: 0o600 });
  await rename(`${file}.part`, file);
}

/** Loads the state; false if there is no file. Throws with the file's name if it is not readable. */
export function loadState(file: string, { world, life, effects, couriers }: StateParts): boolean {
  const text = readIfThere(file);
  if (text === undefined) return false;
  try {
    const snapshot: WorldSnapshot = { shops: [], packages: [] };
    const told: Attempt[] = [];
    const parcels: Parcel[] = [];
    let lived: LifeSnapshot | undefined;
    for (const line of text
      .trimEnd()
      .split('\n')
      .map((row) => JSON.parse(row) as Line)) {
      if ('shop' in line) snapshot.shops.push({ shop: line.shop, orders: [] });
      else if ('order' in line) snapshot.shops.at(-1)?.orders.push(line.order);
      else if ('parcel' in line) snapshot.packages.push(line.parcel);
      else if ('effect' in line) told.push(line.effect);
      else if ('courierParcel' in line) parcels.push(line.courierParcel);
      else if ('life' in line) lived = line.life;
    }
    if (!lived) throw new Error('the last line is missing');
    world.restore(snapshot);
    shipWhatWasTold(world);
    life.restore(lived);
    effects.restore(told);
    couriers.parcels.clear();
    couriers.parcels.put(parcels);
    return true;
  } catch (error) {
    throw new Error(`${file} is not a state of the sandbox: ${(error as Error).message}`, { cause: error });
  }
}

function readIfThere(file: string): string | undefined {
  try {
    return readFileSync(file, 'utf8');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw error;
  }
}
