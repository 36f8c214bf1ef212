import type { Parcel, Scan } from './model.ts';

/** City, and the name of Delhivery's hub there. */
const HUBS = [
  ['Amritsar', 'Amritsar_VerkaBypss_I (Punjab)', 'Punjab'],
  ['Jalandhar', 'Jalandhar_QajiMandi_P (Punjab)', 'Punjab'],
  ['Delhi', 'Delhi_Airport_GW (Delhi)', 'Delhi'],
  ['Mumbai', 'Mumbai_Bhiwandi_H (Maharashtra)', 'Maharashtra'],
  ['Bengaluru', 'Bangalore_Nelamangala_H (Karnataka)', 'Karnataka'],
  ['Chennai', 'Chennai_Poonamallee_GW (Tamil Nadu)', 'Tamil Nadu'],
  ['Kolkata', 'Kolkata_Dankuni_GW (West Bengal)', 'West Bengal'],
  ['Jaipur', 'Jaipur_Bagru_H (Rajasthan)', 'Rajasthan'],
  ['Guwahati', 'Guwahati_Amingaon_H (Assam)', 'Assam'],
  ['Kochi', 'Kochi_Angamaly_H (Kerala)', 'Kerala'],
] as const;

export interface Place {
  city: string;
  hub: string;
  state: string;
}

/** Where a parcel is at a scan: three places, chosen by its seed. */
export function placeOf(parcel: Parcel, place: Scan['place']): Place {
  const step = { origin: 0, hub: 3, destination: 7 }[place];
  const [city, hub, state] = HUBS[(parcel.seed + step) % HUBS.length] as (typeof HUBS)[number];
  return { city, hub, state };
}

/** Personal data as couriers send it. It must not be stored anywhere: tests search for these texts. */
export const PERSONAL = {
  consignee: 'Asha Lakshminarayan',
  rider: 'Ramesh Balasubramaniam',
  phone: '9000000001',
  address: '14 Rosewater Lane',
} as const;
