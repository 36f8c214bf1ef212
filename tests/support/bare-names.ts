/**
 * Tables and columns are named by the schema (src/db/schema), so that a renamed one does not compile where it is used, and
 * rows have its types. This finds their bare names in SQL written elsewhere, and statements past Drizzle.
 */
import { is } from 'drizzle-orm';
import { getTableConfig, PgTable } from 'drizzle-orm/pg-core';
import * as schema from '../../src/db/schema/index.ts';
import { isNode, lineOf, list, type Node, nodesOf } from './ast.ts';

const NAMES = new Set(
  Object.values(schema as Record<string, unknown>).flatMap((table) => {
    if (!is(table, PgTable)) return [];
    const { name, columns } = getTableConfig(table);
    return [name, ...columns.map((column) => column.name)];
  }),
);

/** What SQL itself has of these words. */
const KEYWORDS = /\bfor no key update\b|\bfor key share\b|\bat time zone\b|\bcount(?=\()/g;
const QUOTED = /'(?:[^']|'')*'/g;

/** Lines of a source file with a bare name in its SQL, or a way to the driver. */
export function bareNamesIn(file: string, source: string): string[] {
  const found = new Set<string>();
  const at = (node: Node, what: string) => found.add(`${lineOf(source, node)}: ${what}`);
  for (const node of nodesOf(file, source)) {
    if (node.type === 'Identifier' && (node.name === '$client' || node.name === 'rawOf'))
      at(node, `${node.name}`);
    for (const word of wordsOf(node)) at(node, word);
  }
  return [...found];
}

function wordsOf(node: Node): string[] {
  if (node.type === 'TaggedTemplateExpression' && isSql(node.tag) && isNode(node.quasi))
    return bareNames(list(node.quasi.quasis).map(cooked).join(' $ '));
  if (node.type === 'CallExpression' && isNode(node.callee) && isSql(node.callee.object))
    return list(node.arguments).flatMap((one) =>
      isNode(one) && typeof one.value === 'string' ? bareNames(one.value) : [],
    );
  return [];
}

const isSql = (node: unknown): boolean => isNode(node) && (node.name === 'sql' || node.name === 'raw');

function cooked(quasi: unknown): string {
  const value = isNode(quasi) ? (quasi.value as { cooked?: string } | undefined) : undefined;
  return value?.cooked ?? '';
}

/** The names of tables and columns in a piece of SQL. */
export function bareNames(statement: string): string[] {
  const words =
    statement
      .replace(QUOTED, ' ')
      .replace(KEYWORDS, ' ')
      .match(/[a-z_][a-z0-9_]*/gi) ?? [];
  return words.filter((word) => NAMES.has(word));
}
