import type { ShopSpec } from './temu/model.ts';

/**
 * Shops with fixed, obviously fake credentials: two under one app key in the EU, and one that sells in yen. Their orders
 * are shipped only through the API: parcels made by the sandbox itself would conflict with the fleet's.
 */
export function demoShops(): ShopSpec[] {
  const euApp = {
    appKey: 'sandbox-eu-app-key',
    appSecret: 'sandbox-eu-app-secret-not-a-real-one',
    region: 'EU',
    shipsItself: false,
  } as const;
  return [
    { ...euApp, name: 'demo-ro', accessToken: 'sandbox-access-token-demo-ro', country: 'RO' },
    { ...euApp, name: 'demo-de', accessToken: 'sandbox-access-token-demo-de', country: 'DE' },
    {
      name: 'demo-jp',
      appKey: 'sandbox-global-app-key',
      appSecret: 'sandbox-global-app-secret-not-a-real-one',
      accessToken: 'sandbox-access-token-demo-jp',
      region: 'GLOBAL',
      country: 'JP',
      shipsItself: false,
    },
  ];
}
