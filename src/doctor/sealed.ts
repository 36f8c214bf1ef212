import { endpointContext } from '../alerts/index.ts';
import { temuStores } from '../db/schema/index.ts';
import { messageOf } from '../errors.ts';
import { openStore } from '../temu/stores.ts';
import { tokenContext } from '../tracking/index.ts';
import { type Check, type Finding, fault, orWell, several, warning } from './check.ts';

/** Secrets at rest open with CREDENTIALS_KEY or one of CREDENTIALS_KEYS_OLD (T1, R5). */
export const sealed: Check = {
  name: 'Sealed secrets',
  needs: ['database'],
  async look(fleet) {
    const { db, secrets } = fleet;
    const [rows, tokens, endpoints] = await Promise.all([
      db.select().from(temuStores).orderBy(temuStores.name),
      db.$client<{ name: string; token: string }[]>`
        select name, token from trackers where enabled and token is not null order by name`,
      db.$client<{ id: string; url: string; sealed: string }[]>`
        select id, url, secret as sealed from webhook_endpoints order by url`,
    ]);
    const findings = [
      ...rows.flatMap((row) => opens(() => openStore(row, secrets), storeRemedy(row.name))),
      ...tokens.flatMap(({ name, token }) =>
        // it is fetched anew when it is next wanted, so a lost key is no fault of its own
        opens(() => secrets.decrypt(token, tokenContext(name)), TOKEN_REMEDY, warning),
      ),
      ...endpoints.flatMap(({ id, url, sealed }) =>
        opens(
          () => secrets.decrypt(sealed, endpointContext(id)),
          `${GIVE_KEY}; or where that is lost: orderfleet webhooks remove ${url}, then add it again`,
        ),
      ),
      ...rows
        .filter((row) => [row.appSecret, row.accessToken].some(secrets.isOld))
        .map(({ name }) =>
          warning(
            `The credentials of "${name}" are sealed with a former key`,
            `orderfleet store rotate "${name}" seals them anew; then the key can go from CREDENTIALS_KEYS_OLD`,
          ),
        ),
      ...endpoints
        .filter(({ sealed }) => secrets.isOld(sealed))
        .map(({ url }) =>
          warning(
            `The secret of ${url} is sealed with a former key`,
            `orderfleet webhooks reseal ${url} seals it anew; then the key can go from CREDENTIALS_KEYS_OLD`,
          ),
        ),
    ];
    return orWell(
      findings,
      `${several(rows.length + tokens.length + endpoints.length, 'secret')} open with our keys`,
    );
  },
};

const GIVE_KEY = 'add the key that it was sealed with to CREDENTIALS_KEYS_OLD, in every process';
const TOKEN_REMEDY =
  'nothing, when CREDENTIALS_KEY has just changed: the next request fetches another. If this comes back, processes have different keys: give all of them the same';
const storeRemedy = (name: string) =>
  `${GIVE_KEY}; or where that is lost: orderfleet store rotate "${name}" --app-key … --app-secret … --access-token …`;

function opens(open: () => unknown, remedy: string, finding = fault): Finding[] {
  try {
    open();
    return [];
  } catch (error) {
    return [finding(messageOf(error), remedy)];
  }
}
