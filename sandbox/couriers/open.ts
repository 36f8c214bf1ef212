import type { SandboxClock } from '../temu/world.ts';
import type { CourierApi } from './desk.ts';
import type { KnownParcels, Own, SettingsOf, StandIn } from './stand-in.ts';
import { type AccountSettings, createAccount } from './tokens.ts';

/**
 * Opens a simulated API with its own settings.
 * @param change overrides of its definition
 */
export function openApi<S extends Own, A extends AccountSettings | undefined>(
  standIn: StandIn<S, A>,
  { clock, parcels }: { clock: SandboxClock; parcels: KnownParcels },
  { account: ofAccount, ...change }: Partial<SettingsOf<S>> & { account?: Partial<AccountSettings> } = {},
): CourierApi<SettingsOf<S>> {
  const { name, prefix } = standIn;
  const own = Object.entries(standIn.settings).map(([key, field]) => [key, field.parse(undefined)]);
  const settings = {
    limit: standIn.limit ?? null,
    loginLimit: standIn.loginLimit ?? null,
    latencyMs: 0,
    ...Object.fromEntries(own),
    ...change,
  } as SettingsOf<S>;
  const account = standIn.account && createAccount(name, clock, { ...standIn.account, ...ofAccount });
  const answering = standIn.open({ clock, parcels, settings, account: account as never });
  return { name, prefix, settings, ...(account && { account }), ...answering };
}
