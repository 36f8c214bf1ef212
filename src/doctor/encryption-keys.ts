import { and, eq, isNotNull, sql } from 'drizzle-orm';
import { endpointContext } from '../alerts/index.ts';
import { temuStores, trackers, webhookEndpoints } from '../db/schema/index.ts';
import { messageOf } from '../lib/errors.ts';
import { plural } from '../lib/plural.ts';
import { openStore } from '../temu/stores.ts';
import { tokenContext } from '../tracking/index.ts';
import { type Check, type Finding, fault, orWell, warning } from './check.ts';

/** Stored secrets can be decrypted with CREDENTIALS_KEY or one of CREDENTIALS_KEYS_OLD (T1, R5). */
export const sealed: Check = {
  name: 'Encrypted secrets',
  needs: ['database'],
  async look(fleet) {
    const { db, secrets } = fleet;
    const [rows, tokens, endpoints] = await Promise.all([
      db.select().from(temuStores).orderBy(temuStores.name),
      db
        .select({ name: trackers.name, token: sql<string>`${trackers.token}` })
        .from(trackers)
        .where(and(eq(trackers.enabled, true), isNotNull(trackers.token)))
        .orderBy(trackers.name),
      db.select().from(webhookEndpoints).orderBy(webhookEndpoints.url),
    ]);
    const findings = [
      ...rows.flatMap((row) => opens(() => openStore(row, secrets), storeRemedy(row.name))),
      ...tokens.flatMap(({ name, token }) =>
        // a token is fetched again when needed, so a lost key does no harm here
        opens(() => secrets.decrypt(token, tokenContext(name)), TOKEN_REMEDY, warning),
      ),
      ...endpoints.flatMap(({ id, url, secret }) =>
        opens(
          () => secrets.decrypt(secret, endpointContext(id)),
          `${GIVE_KEY}; if that key is lost: orderfleet webhooks remove ${url}, then add it again`,
        ),
      ),
      ...rows
        .filter((row) => [row.appSecret, row.accessToken].some(secrets.isOld))
        .map(({ name }) =>
          warning(
            `The credentials of "${name}" are encrypted with an old key`,
            `orderfleet store rotate "${name}" re-encrypts them; then remove the key from CREDENTIALS_KEYS_OLD`,
          ),
        ),
      ...endpoints
        .filter(({ secret }) => secrets.isOld(secret))
        .map(({ url }) =>
          warning(
            `The secret of ${url} is encrypted with an old key`,
            `orderfleet webhooks reseal ${url} re-encrypts it; then remove the key from CREDENTIALS_KEYS_OLD`,
          ),
        ),
    ];
    return orWell(
      findings,
      `${plural(rows.length + tokens.length + endpoints.length, 'secret')} readable with our keys`,
    );
  },
};

const GIVE_KEY = 'add the key that it was encrypted with to CREDENTIALS_KEYS_OLD, in every process';
const TOKEN_REMEDY =
  'no action if CREDENTIALS_KEY was just changed: the next request fetches a new token. If it happens again, processes have different keys: set the same one in all';
const storeRemedy = (name: string) =>
  `${GIVE_KEY}; if that key is lost: orderfleet store rotate "${name}" --app-key … --app-secret … --access-token …`;

function opens(open: () => unknown, remedy: string, finding = fault): Finding[] {
  try {
    open();
    return [];
  } catch (error) {
    return [finding(messageOf(error), remedy)];
  }
}
