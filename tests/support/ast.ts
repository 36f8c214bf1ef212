/** Source files as trees (ESTree): for what tests hold about the sources themselves. Pure. */
import { parseAst } from 'vitest/node';

export interface Node {
  type: string;
  /** Where it begins and ends, in characters. */
  start: number;
  end: number;
  [field: string]: unknown;
}

/** All nodes of a file, each before what is in it. `file` ends in .ts or .tsx. */
export function nodesOf(file: string, source: string): Node[] {
  const root: unknown = parseAst(source, { lang: file.endsWith('x') ? 'tsx' : 'ts' }, file);
  return isNode(root) ? [...walk(root)] : [];
}

function* walk(node: Node): Generator<Node> {
  yield node;
  for (const value of Object.values(node)) {
    for (const child of Array.isArray(value) ? value : [value]) if (isNode(child)) yield* walk(child);
  }
}

export const lineOf = (source: string, { start }: { start: number }): number =>
  source.slice(0, start).split('\n').length;

export function isNode(value: unknown): value is Node {
  return typeof value === 'object' && value !== null && 'type' in value && typeof value.type === 'string';
}

export function list(value: unknown): unknown[] {
  return Array.isArray(value) ? value : [];
}

export function text(node: unknown): string | undefined {
  return isNode(node) && typeof node.value === 'string' ? node.value : undefined;
}
