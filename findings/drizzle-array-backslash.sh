#!/usr/bin/env bash
# drizzle-orm: a text array comes back without its backslashes.
#
# One would guess that what Drizzle writes into a column `text().array()` is what it reads from it: its own writer
# (makePgArray) escapes backslashes and quotes as Postgres wants them.
# Seen: its own reader (parsePgArray) takes the escaping of a backslash away together with the backslash. A text with one
# is stored right, as other programs see, and read wrong: "back\slash" comes back as "backslash", without an error. Quotes
# and commas are read right, so a test with those finds nothing. Reasons, paths and patterns in an array lose a sign.
# What helps: such texts as JSON, or a column type of one's own with another reader.
#
# Versions: drizzle-orm 0.45.4, Node 20. Date: 2026-11-29. Source: seen when the driver's own parsers were taken away.
set -euo pipefail
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
cd "$dir"
npm init -y >/dev/null
npm install --silent --no-audit --no-fund drizzle-orm@0.45.4 >/dev/null
cat >seen.mjs <<'JS'
import { makePgArray, pgTable, text } from 'drizzle-orm/pg-core';

const { reasons } = pgTable('parcels', { reasons: text('reasons').array() });
for (const value of ['back\\slash', 'a "quoted" word', 'one, two']) {
  const written = makePgArray([value]);
  const [read] = reasons.mapFromDriverValue(written);
  console.log(`${value} | written ${written} | read ${read} | ${read === value ? 'the same' : 'another'}`);
}
JS
seen=$(node seen.mjs)
echo "$seen"
expected='back\slash | written {"back\\slash"} | read backslash | another
a "quoted" word | written {"a \"quoted\" word"} | read a "quoted" word | the same
one, two | written {"one, two"} | read one, two | the same'
if [ "$seen" != "$expected" ]; then
  printf 'This has changed. Expected:\n%s\n' "$expected" >&2
  exit 1
fi
