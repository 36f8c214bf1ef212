import { readdirSync } from 'node:fs';

// `npm run worker -- NAME` in a checkout; after the build it is `node dist/workers/NAME.js`.
const names = readdirSync(import.meta.dirname)
  .map((file) => file.replace(/\.[jt]s$/, ''))
  .filter((name) => /^[a-z]+$/.test(name) && name !== 'index');
const name = process.argv[2] ?? '';
if (names.includes(name)) {
  await import(
    new URL(`./${name}${import.meta.filename.endsWith('.ts') ? '.ts' : '.js'}`, import.meta.url).href
  );
} else {
  console.error(`npm run worker -- NAME, where NAME is one of: ${names.join(', ')}`);
  process.exitCode = 2;
}
