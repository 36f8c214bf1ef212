import { makePgArray } from 'drizzle-orm/pg-core';
import type { Options } from 'postgres';
import { parse } from 'postgres-array';

/** Numbers of Postgres' own types, which never change, and of their arrays. */
const ARRAYS: [element: number, array: number][] = [
  [16, 1000], // bool
  [17, 1001], // bytea
  [19, 1003], // name
  [20, 1016], // int8
  [21, 1005], // int2
  [23, 1007], // int4
  [25, 1009], // text
  [26, 1028], // oid
  [114, 199], // json
  [700, 1021], // float4
  [701, 1022], // float8
  [1043, 1015], // varchar
  [1082, 1182], // date
  [1114, 1115], // timestamp
  [1184, 1185], // timestamptz
  [1186, 1187], // interval
  [1700, 1231], // numeric
  [2950, 2951], // uuid
  [3802, 3807], // jsonb
];

/** What postgres.js (3.4.9) keeps of types, some of it not in its own types. */
interface Handlers {
  parsers: Record<number, ((text: string) => unknown) | undefined>;
  serializers: Record<number, ((value: unknown) => unknown) | undefined>;
  shared: { typeArrayMap: Record<number, number> };
}

/**
 * Arrays of Postgres' own types, by number. The driver would ask each new connection for them (`fetch_types`), and nobody
 * can catch what it throws when that is cut meanwhile: the process ends.
 */
export function knowArrays(options: Options<never>): void {
  const { parsers, serializers, shared } = options as unknown as Handlers;
  for (const [element, array] of ARRAYS) {
    shared.typeArrayMap[element] = array;
    parsers[array] = (text) => parse(text, parsers[element] ?? String);
    serializers[array] = (value) =>
      Array.isArray(value) ? makePgArray(textsOf(value, serializers[element])) : value;
  }
}

const textsOf = (values: unknown[], serialize: (value: unknown) => unknown = String): unknown[] =>
  values.map((value) => {
    if (Array.isArray(value)) return textsOf(value, serialize);
    return value === null || value === undefined ? null : String(serialize(value));
  });
