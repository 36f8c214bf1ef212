import { existsSync, readdirSync, readFileSync, statSync } from 'node:fs';
import path from 'node:path';
import { beforeAll, describe, expect, it } from 'vitest';
import { type Citation, citationsIn, citesElsewhere, type Rule, rulesOf } from '../support/citations.ts';
import { ROOT } from '../support/process.ts';

const PAGE = 'docs/rules.md';

describe('docs/rules.md', () => {
  const files = sources();
  const rules = rulesOf(files.get(PAGE) ?? '');
  let citations: Citation[];
  beforeAll(() => {
    citations = [...files].flatMap(([file, source]) => (file === PAGE ? [] : citationsIn(file, source)));
  });
  const of = (...states: Rule['state'][]) =>
    rules.filter(({ state }) => states.includes(state)).map(({ number }) => number);
  const cited = (which: (citation: Citation) => boolean) =>
    new Set(citations.filter(which).map(({ rule }) => rule));

  it('numbers its rules from 1 on, each once, and says which are built', () => {
    const next = new Map<string, number>();
    for (const { number } of rules) {
      const letter = number.charAt(0);
      next.set(letter, (next.get(letter) ?? 0) + 1);
      expect(number).toBe(`${letter}${next.get(letter)}`);
    }
    expect([...next.keys()].join('')).toBe('TACESIORP');
    expect(of('unmarked')).toEqual([]);
  });

  it('has every rule that is cited', () => {
    expect(citations.length).toBeGreaterThan(1000); // an empty checkout cites nothing either
    const known = new Set(rules.map(({ number }) => number));
    expect(citations.filter(({ rule }) => !known.has(rule)).map(shown)).toEqual([]);
  });

  it('calls built what a test names, or a bench where it is a speed', () => {
    const held = cited(
      ({ holds, rule, file }) => holds && (file.startsWith('tests/') || rule.startsWith('P')),
    );
    expect(of('built', 'partly').filter((rule) => !held.has(rule))).toEqual([]);
  });

  it('calls not yet built what nothing claims', () => {
    const open = new Set(of('not yet'));
    // decisions say what would overturn them: they speak of what is to come
    const claims = citations.filter(({ file }) => !file.startsWith('docs/decisions/'));
    expect(claims.filter(({ rule }) => open.has(rule)).map(shown)).toEqual([]);
  });

  it('is in the repository like all that is cited', () => {
    const ours = ['tests/checkout/rules.test.ts', 'tests/support/citations.ts'];
    const elsewhere = [...files].flatMap(([file, source]) =>
      ours.includes(file) ? [] : citesElsewhere(file, source),
    );
    expect(elsewhere).toEqual([]);
  });

  it('and the other pages link to what is there', () => {
    const pages = [...files].filter(([file]) => file.endsWith('.md'));
    expect(pages.length).toBeGreaterThan(5);
    expect(pages.flatMap(([file, page]) => deadLinks(file, page))).toEqual([]);
  });
});

describe('what cites a rule', () => {
  const CODE = [
    '// a note (R1)',
    '/**',
    ' * R2 in a docstring',
    ' */',
    `const words = { pending: 'C0', url: 'https://x/T99' }; // R3`,
    '`-- R4',
    '`;',
    '/"/.test(x); // R5',
  ].join('\n');

  it('is a comment of the code, not a string', () => {
    expect(citationsIn('src/a.ts', CODE).map(({ rule, line }) => `${rule}:${line}`)).toEqual([
      ...['R1:1', 'R2:3', 'R3:5', 'R5:8'],
    ]);
  });

  it.each([
    `test('T1: a name', () => {})`,
    'it(`T1 and more`, () => {})',
    `test.each([['P1']])('T1: %s', () => {})`,
    `describe.skipIf(x)('names (T1)', () => run('P1'))`,
    'test.each`a`(`T1`, () => {})',
  ])('is the name of a test: %s', (source) => {
    expect(citationsIn('tests/a.test.ts', source)).toEqual([
      { rule: 'T1', file: 'tests/a.test.ts', line: 1, holds: true },
    ]);
  });

  it('is what a bench measures', () => {
    const source = `log({ what: 'P1: a round' });`;
    expect(citationsIn('bench/a.ts', source)).toMatchObject([{ rule: 'P1', holds: true }]);
    expect(citationsIn('src/a.ts', source)).toEqual([]);
  });

  it('is prose, not what stands in code', () => {
    const page = 'As T2 says, `S77`:\n\n```ts\nT3\n```\n\nand T4.';
    expect(citationsIn('docs/a.md', page).map(({ rule, line }) => `${rule}:${line}`)).toEqual([
      'T2:1',
      'T4:7',
    ]);
    expect(citationsIn('drizzle/a.sql', '-- P3: an index')).toMatchObject([{ rule: 'P3', holds: false }]);
  });

  it('is no number of another kind', () => {
    expect(citationsIn('src/a.ts', '// 40P01, C0123456789, 2026-01-01T12:00, SF1234E5678, W3C')).toEqual([]);
  });

  it('is marked on the page by one of three', () => {
    const page = [
      '**T1 Stores.** _(built)_ …',
      '**T2** _(not yet)_ …',
      '**I3 Writes** _(not yet, but for the client)_: …',
      '**A1 Event.** … T9',
    ].join('\n');
    expect(rulesOf(page).map(({ state }) => state)).toEqual(['built', 'not yet', 'partly', 'unmarked']);
  });

  it.each([
    '(DESIGN idea 1)',
    '(reference/couriers.md, section 2)',
    '(reference section 3 "Envelope")',
    '(reference: "Large numbers")',
    '(anchors 2.2)',
    '../shared/SPEC.md',
    'the words of the source document',
  ])('is not what lies outside the repository: %s', (words) => {
    expect(citesElsewhere('a.ts', `// ${words}`)).not.toEqual([]);
  });

  it.each([
    'namesOrder(reference, order)',
    'as g(reference text, courier text)',
    'https://docs.slack.dev/reference/methods/chat.postMessage',
    './reference.ts',
    'readers follow anchors',
  ])('may be %s', (words) => {
    expect(citesElsewhere('a.ts', words)).toEqual([]);
  });
});

const shown = ({ rule, file, line }: Citation) => `${rule} ${file}:${line}`;

/** Path → text of every file that people write. */
function sources(): Map<string, string> {
  const folders = [
    'src',
    'workers',
    'sandbox',
    'bench',
    'tests',
    'docs',
    'drizzle',
    'deploy',
    'findings',
    'scripts',
    '.ci',
  ];
  const inside = folders.flatMap((folder) =>
    readdirSync(path.join(ROOT, folder), { recursive: true, encoding: 'utf8' }).map((name) =>
      path.join(folder, name),
    ),
  );
  const onTop = readdirSync(ROOT).filter((name) =>
    /\.(md|ts|yml|example)$|^(Dockerfile|Procfile)$/.test(name),
  );
  const written = [...inside, ...onTop].filter(
    (file) => !/\.(png|svg|json)$/.test(file) && statSync(path.join(ROOT, file)).isFile(),
  );
  return new Map(written.sort().map((file) => [file, readFileSync(path.join(ROOT, file), 'utf8')]));
}

/** Links of a page to files, and to headings in them, that are not there. */
function deadLinks(file: string, page: string): string[] {
  const links = [...page.matchAll(/\]\((?!\w+:)([^)#\s]*)(?:#([^)\s]*))?\)/g)];
  return links.flatMap(([link, to = '', heading]) => {
    const target = to === '' ? path.join(ROOT, file) : path.join(ROOT, path.dirname(file), to);
    if (!existsSync(target)) return [`${file}: ${link}`];
    return heading === undefined || headingsOf(readFileSync(target, 'utf8')).includes(heading)
      ? []
      : [`${file}: ${link}`];
  });
}

/** As GitHub makes anchors of headings. */
function headingsOf(page: string): string[] {
  return [...page.matchAll(/^#+ (.+)$/gm)].map(([, title = '']) =>
    title
      .toLowerCase()
      .replace(/[^\p{L}\p{N} _-]/gu, '')
      .replaceAll(' ', '-'),
  );
}
