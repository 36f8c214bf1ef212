import { styleText } from 'node:util';
import Table from 'cli-table3';

/** What a command found: one JSON document with --json, else text for people. */
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

// styleText asks the stream whether it takes colours, and respects NO_COLOR
const style = (format: 'bold' | 'dim' | 'red' | 'green' | 'yellow') => (text: string) =>
  process.stdout.isTTY ? styleText(format, text) : text;
export const bold = style('bold');
export const dim = style('dim');
export const red = style('red');
export const green = style('green');
export const yellow = style('yellow');

/** "3 min ago", "in 20 s". */
export function relative(time: Date | string | null, nowMs = Date.now()): string {
  if (!time) return '–';
  const seconds = Math.round((new Date(time).getTime() - nowMs) / 1000);
  const size = Math.abs(seconds);
  const text =
    size < 90
      ? `${size} s`
      : size < 5400
        ? `${Math.round(size / 60)} min`
        : size < 172_800
          ? `${Math.round(size / 3600)} h`
          : `${Math.round(size / 86_400)} days`;
  return seconds > 0 ? `in ${text}` : `${text} ago`;
}

/** "4 min 12 s", "3 h 5 min". */
export function duration(ms: number): string {
  const seconds = Math.round(ms / 1000);
  if (seconds < 90) return `${seconds} s`;
  const minutes = Math.floor(seconds / 60);
  return minutes < 90
    ? `${minutes} min ${seconds % 60} s`
    : `${Math.floor(minutes / 60)} h ${minutes % 60} min`;
}
