import { html } from 'hono/html';
import { plural } from '../../lib/plural.ts';
import {
  duration,
  LABELS,
  number,
  OUTCOMES,
  type OutcomeName,
  type Report,
  type Row,
  requestsLine,
  share,
  waitsLine,
} from './model.ts';
import { page } from './page.ts';

/** Legible as a dot or a bar on both white and dark. */
const COLOURS: Record<OutcomeName, string> = {
  updated: '#1f9d62',
  unchanged: '#9aa7b8',
  notFound: '#d9a21b',
  mismatched: '#d6457f',
  unmapped: '#8b5cf6',
  failed: '#dc3f45',
};
const INK = 'color:#1b2430';
const DIM = 'color:#5b6675';
const RULE = 'border-top:1px solid #e4e8ee';
const FIGURES = 'text-align:right;white-space:nowrap;font-variant-numeric:tabular-nums';

/** C13: the report as HTML. The template escapes couriers' texts. */
export function htmlReport(report: Report): string {
  const digest = report.rows.length > 1;
  return page({
    title: report.subject,
    body: html`<h1 class="of-text" style="margin:0;font-size:22px;line-height:1.25;font-weight:650;${INK}">${report.title}</h1>
<p class="of-dim" style="margin:4px 0 0;font-size:14px;line-height:1.4;${DIM}">${report.period} · ${
      digest ? plural(report.total.runs, 'run') : duration(report.total.durationMs)
    }</p>
${headline(report.total)}
${bar(report.total)}
${digest ? digestTable(report.rows) : ''}
${figures(report.total, digest)}
${counted('Unmapped courier statuses', report.words, report.wordsMore, digest, true)}
${counted('Errors', report.errors, report.errorsMore, digest, false)}`,
  });
}

const headline = (row: Row) =>
  row.planned === 0
    ? html`<p class="of-text" style="margin:20px 0 0;font-size:16px;${INK}">No parcels were due.</p>`
    : html`<p class="of-text" style="margin:20px 0 0;font-size:16px;line-height:1.4;${INK}"><span style="font-size:30px;font-weight:650;letter-spacing:-.01em">${number(row.updated)}</span> of ${number(row.planned)} parcels updated</p>`;

const subtitle = (text: string) =>
  html`<h2 class="of-text" style="margin:28px 0 8px;font-size:15px;font-weight:650;${INK}">${text}</h2>`;

/** Shares as one stacked bar; a sliver stays visible. */
function bar(row: Row) {
  const shown = OUTCOMES.filter((name) => row[name] > 0);
  if (shown.length === 0) return '';
  const widths = shown.map((name) => Math.max(1, Math.round((row[name] / Math.max(1, row.planned)) * 100)));
  return html`<table role="presentation" width="100%" cellpadding="0" cellspacing="0" style="margin:12px 0 0;border-collapse:collapse;table-layout:fixed"><tr>${shown.map(
    (name, index) =>
      html`<td width="${widths[index] ?? 1}%" title="${LABELS[name]}" style="height:10px;line-height:10px;font-size:0;background:${COLOURS[name]}">&nbsp;</td>`,
  )}</tr></table>`;
}

function figures(row: Row, digest: boolean) {
  // zeros are dimmed
  const line = (
    label: unknown,
    count: number,
    more: string,
    value = count ? `font-weight:600;${INK}` : DIM,
  ) => html`<tr>
<td class="of-text of-line" style="padding:9px 8px 9px 0;font-size:15px;${RULE};${INK}">${label}</td>
<td class="${count ? 'of-text' : 'of-dim'} of-line" style="padding:9px 0;font-size:15px;${RULE};${value};${FIGURES}">${number(count)}</td>
<td class="of-dim of-line" width="64" style="padding:9px 0 9px 8px;font-size:13px;${RULE};${DIM};${FIGURES}">${more}</td>
</tr>`;
  const dot = (name: OutcomeName) =>
    html`<span style="color:${COLOURS[name]};font-size:15px">●</span>&ensp;${LABELS[name]}`;
  const fact = (label: string, value: string) => html`<tr>
<td class="of-dim of-line" style="padding:9px 12px 9px 0;font-size:14px;line-height:1.4;vertical-align:baseline;white-space:nowrap;${RULE};${DIM}">${label}</td>
<td class="of-text of-line" style="padding:9px 0;font-size:14px;line-height:1.4;vertical-align:baseline;text-align:right;${RULE};${INK}">${value.replace(/ (?=%|s |per )/g, NBSP)}</td>
</tr>`;
  return html`${digest ? subtitle('All runs') : ''}<table width="100%" cellpadding="0" cellspacing="0" style="margin:${digest ? 0 : 20}px 0 0;border-collapse:collapse">
${OUTCOMES.map((name) => line(dot(name), row[name], share(row[name], row.planned)))}
${line('Parcels checked', row.planned, '')}
</table>
<table width="100%" cellpadding="0" cellspacing="0" style="margin:16px 0 0;border-collapse:collapse">
${fact('Requests', requestsLine(row))}
${fact('Rate-limit pauses', waitsLine(row))}
${digest ? fact('Total duration', duration(row.durationMs)) : fact('Duration', duration(row.durationMs))}
</table>`;
}

/** Few columns, to fit a phone; rare values are shown under the name. */
function digestTable(rows: readonly Row[]) {
  const head = (text: string, style = FIGURES) =>
    html`<th scope="col" class="of-dim" style="padding:0 0 6px 14px;font-size:12px;font-weight:600;${DIM};${style}">${text}</th>`;
  const cell = (value: number, colour = INK) =>
    html`<td class="${colour === INK ? 'of-text ' : ''}of-line" style="padding:10px 0 0 14px;vertical-align:top;font-size:15px;${RULE};${colour};${FIGURES}">${number(value)}</td>`;
  return html`<table width="100%" cellpadding="0" cellspacing="0" style="margin:24px 0 0;border-collapse:collapse">
<tr>${head('Tracker', 'text-align:left;padding-left:0')}${head('Checked')}${head('Updated')}${head('Failed')}</tr>
${rows.map(
  (row) => html`<tr>
<td class="of-text of-line" style="padding:10px 0 0;vertical-align:top;font-size:15px;font-weight:600;${RULE};${INK}">${row.title}</td>
${cell(row.planned)}${cell(row.updated)}${cell(row.failed, row.failed > 0 ? `color:${COLOURS.failed};font-weight:600` : INK)}
</tr><tr>
<td colspan="4" class="of-dim" style="padding:2px 0 10px;font-size:13px;line-height:1.45;${DIM}">${aside(row)}</td>
</tr>`,
)}
</table>`;
}

const NBSP = '\u00a0';

const aside = (row: Row) =>
  [
    row.runs > 1
      ? `${number(row.runs)} runs`
      : `${row.startedAt.toISOString().slice(11, 16)}, ${duration(row.durationMs)}`,
    ...(['notFound', 'mismatched', 'unmapped'] as const)
      .filter((name) => row[name] > 0)
      .map((name) => `${number(row[name])} ${LABELS[name].toLowerCase()}`),
    ...(row.waits > 0 ? [`paused ${duration(row.waitedMs)}`] : []),
  ]
    .map((part) => part.replaceAll(' ', NBSP))
    .join(`${NBSP}· `); // lines break only after the dot

function counted(title: string, all: Report['words'], more: number, digest: boolean, code: boolean) {
  if (all.length === 0) return '';
  const shown = (text: string) =>
    code
      ? html`<code class="of-code" style="padding:1px 5px;border-radius:4px;background:#eef1f5;font-family:ui-monospace,SFMono-Regular,Menlo,Consolas,monospace;font-size:13px;word-break:break-word">${text}</code>`
      : html`<span style="word-break:break-word">${text}</span>`;
  return html`${subtitle(title)}
<table width="100%" cellpadding="0" cellspacing="0" style="border-collapse:collapse">
${all.map(
  ({ tracker, text, count }) => html`<tr>
<td class="of-text of-line" style="padding:8px 12px 8px 0;font-size:14px;line-height:1.45;vertical-align:baseline;${RULE};${INK}">${shown(text)}${digest ? html` <span class="of-dim" style="font-size:13px;${DIM}">${tracker}</span>` : ''}</td>
<td class="of-text of-line" style="padding:8px 0;vertical-align:baseline;font-size:14px;line-height:1.45;font-weight:600;${RULE};${INK};${FIGURES}">${number(count)}</td>
</tr>`,
)}
</table>
${more > 0 ? html`<p class="of-dim" style="margin:8px 0 0;font-size:13px;${DIM}">… and ${number(more)} more</p>` : ''}`;
}
