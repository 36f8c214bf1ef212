import { readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { getTableConfig, PgDialect } from 'drizzle-orm/pg-core';
import { expect, test } from 'vitest';
import { notices } from '../../src/db/schema/index.ts';
import { ROOT } from '../support/process.ts';

/** Kinds in calls of `withdraw`, of all files that import it. */
function withdrawnKinds(): string[] {
  return readdirSync(path.join(ROOT, 'src'), { recursive: true, encoding: 'utf8' })
    .filter((name) => /\.tsx?$/.test(name))
    .map((name) => readFileSync(path.join(ROOT, 'src', name), 'utf8'))
    .filter((source) => /import \{[^}]*\bwithdraw\b[^}]*\} from '[./]*notices\/index\.ts'/.test(source))
    .flatMap((source) => [...source.matchAll(/\bwithdraw\(([^,]+),\s*([^,]+),/g)])
    .map(([, , kind = '']) => kind);
}

test('C12: kinds that are withdrawn are named as literals, and the index of subjects has them', () => {
  const where = getTableConfig(notices).indexes.find(({ config }) => config.name === 'notices_subject')
    ?.config.where;
  const indexed = where ? new PgDialect().sqlToQuery(where).sql.match(/'[^']+'/g) : [];
  const kinds = withdrawnKinds();
  expect(kinds.length).toBeGreaterThan(2);
  expect([...new Set(kinds)].sort()).toEqual([...(indexed ?? [])].sort());
});
