import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { SETTINGS_PAGE, settingsPage } from '../docs/settings.ts';
import { settings } from '../src/settings.ts';
import { trackingSettings } from '../src/tracking/index.ts';

test('O7: docs/settings.md says what the schemas say', () => {
  const written = readFileSync(SETTINGS_PAGE, 'utf8');
  expect(written === settingsPage(), 'docs/settings.md is out of date: npm run docs').toBe(true);
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
