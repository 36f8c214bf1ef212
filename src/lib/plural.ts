/** "1 parcel", "2 parcels", "1,204 parcels"; pass irregular plurals. */
export const plural = (count: number, one: string, many = `${one}s`): string =>
  `${count.toLocaleString('en')} ${count === 1 ? one : many}`;
