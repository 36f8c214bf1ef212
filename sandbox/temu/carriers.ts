import { createRandom, seedOf } from '../random.ts';
import { COUNTRIES } from './countries.ts';
import type { Company, ShopIdentity, Warehouse } from './model.ts';

const RO = 167;
const IT = 98;
const DE = 76;
const FR = 69;
const US = 211;
const JP = 100;
const BR = 29;

/** Every region of the EU host: a Romanian seller ships to all of it with the same carriers. */
const EUROPE = [COUNTRIES.EU.often, COUNTRIES.EU.seldom].flat().map(({ regionId }) => regionId);

/**
 * Carriers with ids that were seen in public, and made-up ids for those of which none was (Romania's among them). In
 * Italy GLS comes twice, as in the Italian list.
 */
const COMPANIES: readonly Company[] = [
  { id: 910_000_101, name: 'FAN Courier', regions: EUROPE },
  { id: 910_000_102, name: 'Sameday', regions: EUROPE },
  { id: 910_000_103, name: 'Cargus', brand: 'Urgent Cargus', regions: [RO] },
  { id: 910_000_104, name: 'Poșta Română', brand: 'Posta Romana', regions: [RO] },
  { id: 910_000_105, name: 'DPD RO', brand: 'DPD', regions: [RO, IT] },
  { id: 141_252_268, name: 'DHL' },
  { id: 314_439_762, name: 'UPS' },
  { id: 699_272_611, name: 'FedEx' },
  { id: 547_987_123, name: 'GLS', regions: EUROPE },
  { id: 998_264_874, name: 'GLS(IT)', brand: 'GLS', regions: [IT] },
  { id: 998_264_994, name: 'BRT Bartolini(DPD)', brand: 'BRT', regions: [IT] },
  { id: 784_213_879, name: 'Poste Italiane', regions: [IT] },
  { id: 998_265_084, name: 'SDA', regions: [IT] },
  { id: 998_265_159, name: 'TNT (IT)', brand: 'TNT', regions: [IT] },
  { id: 998_264_853, name: 'DPD', regions: [DE] },
  { id: 910_000_106, name: 'Hermes', regions: [DE] },
  { id: 910_000_107, name: 'Colissimo', brand: 'La Poste', regions: [FR] },
  { id: 960_246_690, name: 'USPS', regions: [US] },
  { id: 998_264_950, name: 'GOFO', regions: [US] },
  { id: 732_613_859, name: 'UniUni', regions: [US] },
  { id: 910_000_108, name: 'Yamato Transport', brand: 'Kuroneko Yamato', regions: [JP] },
  { id: 910_000_109, name: 'Sagawa Express', regions: [JP] },
  { id: 202_398_511, name: 'J&T express (BR)', brand: 'J&T express', regions: [BR] },
];

/** The carriers of a new shop. */
export function companiesOf(): Company[] {
  return structuredClone(COMPANIES) as Company[];
}

/** The warehouses of a new shop, always the same for the same name: its default one and another. */
export function warehousesOf(shop: ShopIdentity): Warehouse[] {
  const random = createRandom(seedOf('warehouses', shop.name));
  const { often, seldom } = COUNTRIES[shop.region];
  const regionId = [...often, ...seldom].find(({ code }) => code === shop.country)?.regionId ?? US;
  const warehouse = (name: string, isDefault: boolean): Warehouse => ({
    id: `WH-${random.digits(17, true)}`,
    name,
    isDefault,
    regionId,
    managementType: 1,
    buyShippingLabel: isDefault,
  });
  // The default is second, to detect clients that take the first.
  return [warehouse('Returns and spares', false), warehouse('Main warehouse', true)];
}
