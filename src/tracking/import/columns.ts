/** The columns of an import; others are ignored. */
export const COLUMNS = [
  'source',
  'marketplace_order_id',
  'booking_courier',
  'booked_at',
  'awb_number',
  'lr_number',
  'carrier',
  'status',
  'order_status',
] as const;
export type Column = (typeof COLUMNS)[number];
export type Values = Partial<Record<Column, string>>;

/** Aliases; compared in lower case without spaces, hyphens and underscores. */
const ALSO: Partial<Record<Column, string>> = {
  marketplace_order_id: 'marketplaceorder ordernumber orderno',
  booking_courier: 'courier couriername',
  booked_at: 'bookingdate bookeddate bookingtime',
  awb_number: 'awb awbno waybill trackingnumber',
  lr_number: 'lr lrn lrno',
};
const bare = (name: string) => name.toLowerCase().replace(/[^\p{L}\p{N}]/gu, '');
const BY_NAME: ReadonlyMap<string, Column> = new Map(
  COLUMNS.flatMap((column) =>
    [bare(column), ...(ALSO[column]?.split(' ') ?? [])].map((name) => [name, column] as const),
  ),
);

/** `AWB Number`, `awbNumber` and `awb` are awb_number; undefined for an unknown column. */
export const columnOf = (name: string): Column | undefined => BY_NAME.get(bare(name));
