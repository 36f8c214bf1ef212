import { readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { type DrizzleSnapshotJSON, generateDrizzleJson, generateMigration } from 'drizzle-kit/api';
import { expect, test } from 'vitest';
import { ROOT } from '../support/process.ts';

const SCHEMA = path.join(ROOT, 'src/db/schema');
const META = path.join(ROOT, 'drizzle/meta');

/** Of src/db/schema as the last migration left it. Nothing is connected to. */
function lastSnapshot(): DrizzleSnapshotJSON {
  const file = readdirSync(META)
    .filter((name) => name.endsWith('_snapshot.json'))
    .sort()
    .at(-1);
  return JSON.parse(readFileSync(path.join(META, file ?? ''), 'utf8')) as DrizzleSnapshotJSON;
}

test('R6: src/db/schema has nothing that no migration has: else npm run db:generate', async () => {
  const last = lastSnapshot();
  const files = await Promise.all(
    readdirSync(SCHEMA).map((file) => import(path.join(SCHEMA, file)) as Promise<Record<string, unknown>>),
  );
  const now = generateDrizzleJson(Object.assign({}, ...files), last.id, undefined, 'snake_case');
  expect(Object.keys(now.tables).length).toBeGreaterThan(20);
  expect(await generateMigration(last, now)).toEqual([]);
});
