import type { Fleet } from '../fleet/index.ts';
import { type Check, type Finding, orWell, unknown, warning } from './check.ts';
import { clockFinding } from './clock-skew.ts';

/** Temu refuses requests whose time differs by more than 300 s. */
const LIMITS = { warnMs: 60_000, faultMs: 240_000 };
const TIMEOUT_MS = 10_000;

/** Compares our clock with the APIs', by the Date header of any response. */
export const clocks: Check = {
  name: 'Clocks of the APIs',
  async look(fleet, signal) {
    const apis = apisOf(fleet);
    const findings = await Promise.all(
      apis.map(({ whose, url, setting }) => compare(fleet, whose, url, setting, signal)),
    );
    return orWell(findings.flat(), `within a minute of ours: ${apis.map(({ whose }) => whose).join(', ')}`);
  },
};

interface Api {
  whose: string;
  url: string;
  setting: string;
}

/** Temu's router URLs, and the root URLs of enabled couriers: neither request is an API call. */
function apisOf({ config, trackers }: Fleet): Api[] {
  const { TEMU_EU_URL, TEMU_US_URL, TEMU_GLOBAL_URL } = config;
  const temu = Object.entries({ TEMU_EU_URL, TEMU_US_URL, TEMU_GLOBAL_URL }).map(([setting, url]) => ({
    whose: `Temu (${setting.split('_')[1]})`,
    ...{ url, setting },
  }));
  const couriers = trackers.flatMap(({ courier, connection }) => {
    if (!connection) return [];
    const { origin } = new URL(connection.request(['0']).url);
    return [{ whose: courier.title, url: `${origin}/`, setting: 'the network, and its URL in the settings' }];
  });
  return [...temu, ...couriers];
}

async function compare(
  { http, clock }: Fleet,
  whose: string,
  url: string,
  setting: string,
  signal: AbortSignal,
): Promise<Finding[]> {
  const sentAt = clock();
  const answer = await http.request({ url, method: 'GET', timeoutMs: TIMEOUT_MS, signal });
  const ours = (sentAt + clock()) / 2;
  if (!answer.ok) return [warning(`${whose} does not answer: ${answer.failure.message}`, `check ${setting}`)];
  const theirs = Date.parse(answer.value.headers.date ?? '');
  if (Number.isNaN(theirs)) return [unknown(`${whose} does not send its time`)];
  // a Date is cut to seconds: half a second early on average
  return clockFinding(whose, theirs + 500 - ours, LIMITS);
}
