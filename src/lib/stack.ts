import { readFileSync } from 'node:fs';
import { SourceMap } from 'node:module';
import { fileURLToPath } from 'node:url';
import { LRUCache } from 'lru-cache';

const FRAME = /(file:[^\s()]+\.js):(\d+):(\d+)/g;

/** Reading a source map takes a tenth of a second and megabytes, which are not kept: what fails again is known. */
const known = new LRUCache<string, string>({ max: 1_000 });

/** A stack whose lines in a build (scripts/build.mjs) are given as those of the source: `src/queue/handle.ts:88:13`. */
export function readableStack(stack: string): string {
  const maps = new Map<string, SourceMap | undefined>();
  return stack.replace(FRAME, (frame, url: string, line: string, column: string) => {
    const before = known.get(frame);
    if (before !== undefined) return before;
    if (!maps.has(url)) maps.set(url, mapOf(url));
    const entry = maps.get(url)?.findEntry(Number(line) - 1, Number(column) - 1);
    const source =
      entry && 'originalSource' in entry
        ? `${entry.originalSource.replace(/^(\.\.\/)+/, '')}:${entry.originalLine + 1}:${entry.originalColumn + 1}`
        : frame;
    known.set(frame, source);
    return source;
  });
}

function mapOf(url: string): SourceMap | undefined {
  try {
    return new SourceMap(JSON.parse(readFileSync(`${fileURLToPath(url)}.map`, 'utf8')));
  } catch {
    return undefined; // none is there
  }
}
