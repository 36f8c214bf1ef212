import type { TemuCounts, TemuMessage } from '../stand-ins/temu.ts';
import { type Build, commonSettings } from './builds.ts';
import { startProgram } from './child.ts';
import type { Backend, Stage } from './stage.ts';

export interface Temu {
  url: string;
  /** Settings that lead a fleet here, without a quota that it would notice. */
  env: Record<string, string>;
  forget(): Promise<unknown>;
  counts(): Promise<TemuCounts>;
  /** When the request for each parcel came in, milliseconds of the clock. */
  arrivals(): Promise<Record<string, number>>;
  stop(): Promise<unknown>;
}

export async function startTemu(stage: Stage, orders: number): Promise<Temu> {
  const child = await startProgram('stand-ins/temu.ts', [String(orders)]);
  stage.watch('temu', child.cpu);
  const ask = <T>(message: TemuMessage) => child.ask<T>(message);
  const counts = () => ask<TemuCounts>({ do: 'count' });
  const { url } = await counts();
  return {
    url,
    env: {
      TEMU_EU_URL: `${url}/eu/openapi/router`,
      TEMU_US_URL: `${url}/us/openapi/router`,
      TEMU_GLOBAL_URL: `${url}/global/openapi/router`,
      TEMU_QPS: '5000',
    },
    forget: () => ask({ do: 'forget' }),
    counts,
    arrivals: () => ask({ do: 'arrivals' }),
    stop: () => child.stop(),
  };
}

/** A migrated database with the stand-in's store. @returns the settings of its processes */
export async function openStore(
  stage: Stage,
  backend: Backend,
  temu: Temu,
  build: Build,
  purpose: string,
): Promise<Record<string, string>> {
  const env = {
    ...commonSettings(),
    ...temu.env,
    ...stage.queues(backend),
    DATABASE_URL: await stage.database(`${purpose}_${backend}_${build.name}`),
    TRACKERS: 'none',
  };
  await build.command(env, 'migrate');
  const store = {
    name: 'bench',
    region: 'EU',
    country: 'RO',
    'app-key': 'key-of-the-bench',
    'app-secret': 'secret-of-the-bench',
    'access-token': 'token-of-the-bench',
  };
  await build.command(
    env,
    'store',
    'add',
    ...Object.entries(store).flatMap(([option, value]) => [`--${option}`, value]),
  );
  return env;
}
