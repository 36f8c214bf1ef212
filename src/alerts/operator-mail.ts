import { html } from 'hono/html';
import type { OperatorMail } from './message.ts';
import { page } from './report/page.ts';

const moreLine = (more: number) =>
  more > 0 ? `… and ${more} more: orderfleet status` : 'See all open issues: orderfleet status';

export const operatorPlain = ({ items, more }: OperatorMail): string =>
  `${[...items.map(({ time, text }) => `${time}\n${text}`), moreLine(more)].join('\n\n')}\n`;

export const operatorHtml = ({ subject, items, more }: OperatorMail): string =>
  page({
    title: subject,
    body: html`<h1 class="of-text" style="margin:0 0 16px;font-size:20px;line-height:1.3;font-weight:650;color:#1b2430">${
      items.length === 1 ? '1 issue needs attention' : subject
    }</h1>
${items.map(
  ({ time, text }) =>
    html`<p class="of-text of-line" style="margin:0;padding:12px 0;border-top:1px solid #e4e8ee;font-size:15px;line-height:1.5;color:#1b2430;word-break:break-word"><span class="of-dim" style="font-size:13px;color:#5b6675">${time}</span><br>${text}</p>`,
)}
<p class="of-dim of-line" style="margin:0;padding:12px 0 0;border-top:1px solid #e4e8ee;font-size:13px;color:#5b6675">${moreLine(more)}</p>`,
  });
