import { readFileSync, statSync } from 'node:fs';
import type { Sql } from 'postgres';

/** Tables that grow with what is traded: none of their statements may read them from one end to the other (P9). */
export const GROWING: readonly string[] = [
  ...['orders', 'temu_orders', 'products_in_order', 'order_item_lines', 'order_errors', 'temu_order_inbox'],
  ...['shipments', 'shipment_events', 'temu_pushes', 'awb_events', 'notices'],
  ...['tracking_runs', 'tracking_batches', 'temu_sync_windows'],
];

/** A statement as Postgres ran it. */
export interface Planned {
  text: string;
  ms: number;
  /** Growing tables that it scanned sequentially. */
  scanned: string[];
}

interface Node {
  'Node Type': string;
  'Relation Name'?: string;
  Plans?: Node[];
}

/**
 * The statements of all sessions that begin during the work, with their plans: Postgres' own auto_explain writes them.
 * @param sql of a superuser
 * @param log the server's
 */
export async function plansOf(sql: Sql, log: string, work: () => Promise<void>): Promise<Planned[]> {
  const [{ name } = { name: '' }] = await sql<
    { name: string }[]
  >`select quote_ident(current_database()) as name`;
  const settings = {
    ...{ session_preload_libraries: 'auto_explain', 'auto_explain.log_min_duration': '0' },
    'auto_explain.log_format': 'json',
  };
  for (const [key, value] of Object.entries(settings))
    await sql.unsafe(`alter database ${name} set ${key} = '${value}'`);
  const from = statSync(log).size;
  await work();
  await sql.unsafe(`alter database ${name} reset all`);
  return readFileSync(log)
    .subarray(from)
    .toString()
    .split(/^(?=\d{4}-\d\d-\d\d )/m)
    .flatMap(planIn);
}

/** Of an entry of the log; none in others. */
function planIn(entry: string): Planned[] {
  const [, ms, json] = /duration: ([\d.]+) ms {2}plan:\s*(\{.*\})/s.exec(entry) ?? [];
  if (!json) return [];
  const { 'Query Text': text, Plan: plan } = JSON.parse(json.replaceAll('\n\t', '\n')) as {
    'Query Text': string;
    Plan: Node;
  };
  return [{ text, ms: Number(ms), scanned: [...new Set(scansOf(plan))] }];
}

const scansOf = (node: Node): string[] => {
  const table = node['Relation Name'] ?? '';
  const its = node['Node Type'] === 'Seq Scan' && GROWING.includes(table) ? [table] : [];
  return [...its, ...(node.Plans ?? []).flatMap(scansOf)];
};
