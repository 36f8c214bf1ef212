import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { describe, expect, it } from 'vitest';
import { ROOT } from '../support/process.ts';

/** S10: words of a private dialect that are written no more, with what is written (docs/glossary.md). */
const FORBIDDEN: readonly (readonly [words: RegExp, instead: string])[] = [
  [/\bmend(s|ed|ing)?\b/i, 'fix'],
  [/\brulings?\b/i, 'status mapping'],
  [/\bstrange words?\b|\bStrangeWords?\b/, 'unmapped status'],
  [/\bconceal/i, 'redact'],
  [/\b(TROUBLES|[tT]roubled|TroubleCounts)\b/, 'attention'],
  [/\bneeds? a person\b/i, 'needs attention'],
  [/\btold to wait\b/i, 'rate-limited'],
  [/\bmay look\b/i, 'read-only'],
  [/\bworth a look\b/i, 'warning'],
  [
    /\b(giveBack|putOff|letGo|setAside|sameText|wordTable|judge\(|tellOfChanges|Matter)\b/,
    'a term of the glossary',
  ],
  [/\bno table has\b|\bno meaning yet\b/i, 'unmapped'],
  [/\bdeed\b/i, 'request'],
  [/\btells nothing new\b/i, 'changes nothing'],
  [/\bheard of\b/i, 'received, last seen'],
  [/\bbefell\b/i, 'happened'],
  [/\bspends nobody\b/i, 'does not count as an attempt'],
  [/\bin nobody's hands\b/i, 'unclaimed'],
  [/\basked for no more\b/i, 'no longer polled'],
  [/\bever more seldom\b/i, 'with a growing backoff'],
  [/\btakes no writes\b/i, 'is read-only'],
  [/\bis no JSON\b/, 'is not JSON'],
  [/\bis wanted\b/i, 'is expected'],
  [/\bgone away\b/i, 'is unavailable'],
  [/\btell a person\b|\bTELL_PEOPLE\b/i, 'notify operators'],
  [
    /\b(COMPLAINTS|createRests|createTurns|createKeeper|tellingsOf|delhiveryPush|b2cWord|inVain)\b/,
    'a term of the glossary',
  ],
];

/** What people read and what developers write; decisions and the changelog tell of their time. */
const files = execFileSync('git', ['ls-files'], { cwd: ROOT, encoding: 'utf8' })
  .split('\n')
  .filter((file) =>
    /^(src|workers|sandbox|scripts|deploy|docs)\/.*\.(tsx?|md|ya?ml|json|js)$|^[A-Z]+\.md$/.test(file),
  )
  .filter((file) => !/^docs\/(decisions|rules)|^CHANGELOG/.test(file));

describe('S10: one thing has one name', () => {
  it('forbidden words are nowhere', () => {
    const found = files.flatMap((file) =>
      readFileSync(path.join(ROOT, file), 'utf8')
        .split('\n')
        .flatMap((line, index) =>
          FORBIDDEN.filter(([words]) => words.test(line)).map(
            ([words, instead]) => `${file}:${index + 1} ${line.match(words)?.[0]} → ${instead}`,
          ),
        ),
    );
    expect(files.length).toBeGreaterThan(300);
    expect(found).toEqual([]);
  });
});
