/** Where rules are cited, and where something is cited that is not in the repository. Pure; tests/checkout/rules.test.ts runs it. */
import { isNode, lineOf, list, type Node, nodesOf, text } from './ast.ts';

export interface Citation {
  rule: string;
  file: string;
  line: number;
  /** In the name of a test or of what a bench measures: that is what holds a rule. */
  holds: boolean;
}

export interface Rule {
  number: string;
  /** `partly`: "not yet, but for …". `unmarked`: the page does not say. */
  state: 'built' | 'partly' | 'not yet' | 'unmarked';
}

const RULE = /\b[TAESICORP]\d{1,2}\b/g;

/** The rules of docs/rules.md, in its order: paragraphs that begin with a number in bold. */
export function rulesOf(page: string): Rule[] {
  return [...page.matchAll(/^\*\*([A-Z]\d+)\b.*$/gm)].map(([line, number = '']) => {
    const mark = /_\((built|not yet)(, but for )?[^)]*\)_/.exec(line);
    if (!mark) return { number, state: 'unmarked' };
    if (mark[1] === 'built') return { number, state: 'built' };
    return { number, state: mark[2] ? 'partly' : 'not yet' };
  });
}

/**
 * Every citation of a rule in one file: of TypeScript its comments and the names of tests and measurements, since codes of
 * couriers and of Postgres and parcels' numbers are strings and look alike; of Markdown what is not code; of other files
 * everything.
 */
export function citationsIn(file: string, source: string): Citation[] {
  if (/\.tsx?$/.test(file)) return inTypeScript(file, source);
  return found(file, file.endsWith('.md') ? withoutCode(source) : source, false);
}

function inTypeScript(file: string, source: string): Citation[] {
  const nodes = nodesOf(file, source);
  const names = nodes.flatMap((node) => namesIn(file, node));
  return [
    ...found(file, commentsOf(source, nodes), false),
    ...names.flatMap((name) =>
      found(file, source.slice(name.start, name.end), true).map((citation) => ({
        ...citation,
        line: lineOf(source, name),
      })),
    ),
  ];
}

/** The source with all but its comments blanked: a `//` inside a string is none. */
function commentsOf(source: string, nodes: Node[]): string {
  const literals = nodes.filter(({ type }) => ['Literal', 'TemplateElement', 'JSXText'].includes(type));
  let code = '';
  for (const { start, end } of literals.toSorted((a, b) => a.start - b.start))
    code += source.slice(code.length, start) + blank(source.slice(start, end));
  code += source.slice(code.length);
  let comments = '';
  for (const { index, 0: comment } of code.matchAll(/\/\*.*?\*\/|\/\/[^\n]*/gs))
    comments += blank(source.slice(comments.length, index)) + comment;
  return comments;
}

const blank = (code: string) => code.replace(/[^\n]/g, ' ');

/** The title of a test or of a group of them, and in bench/ what is measured (`what: 'P1: …'`). */
function namesIn(file: string, node: Node): Node[] {
  if (node.type === 'CallExpression' && ['test', 'it', 'describe'].includes(rootOf(node.callee))) {
    const [title] = list(node.arguments);
    return isNode(title) && (text(title) !== undefined || title.type === 'TemplateLiteral') ? [title] : [];
  }
  const measured =
    file.startsWith('bench/') && node.type === 'Property' && isNode(node.key) && node.key.name === 'what';
  return measured && isNode(node.value) ? [node.value] : [];
}

/** `test` of `test`, `test.skipIf(…)` and `test.each(…)`. */
function rootOf(callee: unknown): string {
  if (!isNode(callee)) return '';
  if (callee.type === 'Identifier') return String(callee.name);
  return rootOf(callee.object ?? callee.callee ?? callee.tag);
}

function withoutCode(markdown: string): string {
  return markdown.replace(/^ *```.*?^ *```|`[^`\n]*`/gms, blank);
}

function found(file: string, words: string, holds: boolean): Citation[] {
  return [...words.matchAll(RULE)].map(({ 0: rule, index }) => ({
    ...{ rule, file, holds },
    line: lineOf(words, { start: index }),
  }));
}

/** Papers that only those who wrote the code had; whoever reads it has the repository alone. */
const ELSEWHERE = [
  /\bDESIGN\b/,
  /\bDEVELOPERS\b/,
  /\bSPEC\.md\b/,
  /(?<![\w./-])(?:\.\.\/)*(?:shared|reference)\/[\w-]/,
  /\(reference(?::? ["“]|,? section)/,
  /\bsource (?:documents?|system)\b/,
  /\banchors \d/,
  /\bthe review\b/i,
  /\bissue #?\d+\b/,
];

/** Lines that send their reader to what is not in the repository: `file:line what`. */
export function citesElsewhere(file: string, source: string): string[] {
  return source.split('\n').flatMap((line, index) => {
    const words = line.replace(/https?:\/\/\S+/g, '');
    return ELSEWHERE.flatMap((one) => {
      const what = one.exec(words)?.[0];
      return what === undefined ? [] : [`${file}:${index + 1} ${what}`];
    });
  });
}
