import {
  duration,
  LABELS,
  number,
  OUTCOMES,
  type Report,
  type Row,
  requestsLine,
  share,
  waitsLine,
} from './model.ts';

/** C13: the report as plain text, readable in any font. */
export function plainReport(report: Report): string {
  const parts = [`${report.title}, ${report.period}`, ''];
  if (report.rows.length > 1) for (const row of report.rows) parts.push(digestRow(row), '');
  parts.push(...figures(report.total, report.rows.length > 1));
  if (report.words.length > 0)
    parts.push(
      '',
      'Unmapped courier statuses',
      ...list(report.words, report.wordsMore, report.rows.length > 1),
    );
  if (report.errors.length > 0)
    parts.push('', 'Errors', ...list(report.errors, report.errorsMore, report.rows.length > 1));
  return `${parts.join('\n')}\n`;
}

function figures(row: Row, total: boolean): string[] {
  const lines: [label: string, value: string][] = [
    ['Parcels checked', number(row.planned)],
    ...OUTCOMES.map((name): [string, string] => {
      const percent = share(row[name], row.planned);
      return [LABELS[name], `${number(row[name])}${percent ? `  (${percent})` : ''}`];
    }),
    ['Requests', requestsLine(row)],
    ['Rate-limit pauses', waitsLine(row)],
    ['Duration', `${duration(row.durationMs)}${total ? ` over ${number(row.runs)} runs` : ''}`],
  ];
  const width = Math.max(...lines.map(([label]) => label.length)) + 2;
  return [...(total ? ['All runs'] : []), ...lines.map(([label, value]) => `${label.padEnd(width)}${value}`)];
}

const digestRow = (row: Row) =>
  [
    `${row.title}${row.runs > 1 ? ` (${number(row.runs)} runs)` : `, ${row.startedAt.toISOString().slice(11, 16)} UTC`}`,
    `  ${number(row.planned)} checked: ${OUTCOMES.filter((name) => name === 'updated' || row[name] > 0)
      .map((name) => `${number(row[name])} ${LABELS[name].toLowerCase()}`)
      .join(', ')}`,
    `  ${duration(row.durationMs)}; requests: ${requestsLine(row)}; pauses: ${waitsLine(row)}`,
  ].join('\n');

const list = (all: Report['words'], more: number, withTracker: boolean) => [
  ...all.map(
    ({ tracker, text, count }) => `  ${number(count)} × ${withTracker ? `${tracker}: ` : ''}${text}`,
  ),
  ...(more > 0 ? [`  … and ${number(more)} more`] : []),
];
