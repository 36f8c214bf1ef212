import { styleText } from 'node:util';
import Table from 'cli-table3';

export { duration, relative, utc } from '../lib/format-time.ts';

/** Prints a result: one JSON document with --json, else text. */
export function print(options: { json?: boolean | undefined }, data: unknown, text: () => string): void {
  process.stdout.write(`${options.json ? JSON.stringify(data, null, 2) : text()}\n`);
}

export function table(head: string[], rows: (string | number | null)[][]): string {
  const drawn = new Table({
    head,
    style: { head: [], border: [], compact: true },
    chars: Object.fromEntries(
      ['top', 'bottom', 'left', 'right', 'mid', 'top-mid', 'bottom-mid', 'mid-mid', 'left-mid', 'right-mid']
        .concat(['top-left', 'top-right', 'bottom-left', 'bottom-right'])
        .map((name) => [name, ''])
        .concat([['middle', ' ']]),
    ),
  });
  drawn.push(...rows.map((row) => row.map((cell) => (cell === null ? '–' : String(cell)))));
  const [first = '', ...rest] = drawn.toString().split('\n');
  return [bold(first), ...rest].map((line) => line.trimEnd()).join('\n');
}

// styleText checks whether the stream supports colours, and respects NO_COLOR
const style = (format: 'bold' | 'dim' | 'red' | 'green' | 'yellow') => (text: string) =>
  process.stdout.isTTY ? styleText(format, text) : text;
export const bold = style('bold');
export const dim = style('dim');
export const red = style('red');
export const green = style('green');
export const yellow = style('yellow');
