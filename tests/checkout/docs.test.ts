import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { ENV_EXAMPLE, envExample } from '../../docs/env-example.ts';
import { GROWTH_PAGE, growthPage } from '../../docs/growth/page.ts';
import { PERFORMANCE_PAGE, performancePage } from '../../docs/performance.ts';
import { SETTINGS_PAGE, settingsPage } from '../../docs/settings.ts';
import { README, readmeWithTrackers } from '../../docs/trackers.ts';
import { settings } from '../../src/config/settings.ts';
import { trackingSettings } from '../../src/tracking/index.ts';

test.each([
  ['docs/settings.md', SETTINGS_PAGE, () => `${settingsPage()}\n`],
  ['.env.example', ENV_EXAMPLE, envExample],
  ['README.md’s table of trackers', README, readmeWithTrackers],
  ['docs/performance.md', PERFORMANCE_PAGE, performancePage],
  ['docs/growth.md', GROWTH_PAGE, growthPage],
])('O7, C15: %s says what the schemas say, or what was measured', (what, file, made) => {
  expect(readFileSync(file, 'utf8') === made(), `${what} is out of date: npm run docs`).toBe(true);
});

test('O7: every setting is on the page once, in a group of its own kind, with what it is', () => {
  const page = settingsPage();
  for (const name of [...Object.keys(settings.shape), ...Object.keys(trackingSettings)]) {
    const rows = page.split('\n').filter((line) => line.startsWith(`| \`${name}\` |`));
    expect(rows, name).toHaveLength(1);
    expect(rows[0]?.split(' | ').every((cell) => cell.trim() !== '')).toBe(true);
  }
  expect(page).not.toContain('## Others');
  expect(page).toContain('| `DATABASE_URL` |');
  expect(page).toMatch(/`DELHIVERY_B2C_LIMIT` .* \| `7\/3` \|/);
});

test('O7: .env.example says of every setting what it is, in lines that can be read', () => {
  const lines = envExample().split('\n');
  expect(lines.filter((line) => line.length > 120)).toEqual([]);
  // limit and rhythm of a courier have one comment
  const bare = lines.filter((line, at) => /^[A-Z]/.test(line) && !lines[at - 1]?.startsWith('# '));
  expect(bare.filter((line) => !/_(EVERY|DAILY_LIMIT)=$/.test(line))).toEqual([]);
  expect(lines).toContain('# empty: 7/3 and 480');
});
