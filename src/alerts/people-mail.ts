import { html } from 'hono/html';
import type { peopleMail } from './message.ts';
import { page } from './report/page.ts';

type PeopleMail = ReturnType<typeof peopleMail>;

const moreLine = (more: number) =>
  more > 0 ? `… and ${more} more: orderfleet status` : 'orderfleet status shows what is open.';

export const peoplePlain = ({ lines, more }: PeopleMail): string =>
  [...lines.flatMap((line) => [line, '']), moreLine(more)].join('\n');

export const peopleHtml = ({ subject, lines, more }: PeopleMail): string =>
  page({
    title: subject,
    body: html`<h1 class="of-text" style="margin:0 0 16px;font-size:20px;line-height:1.3;color:#1b2430">${subject}</h1>
${lines.map(
  (line) =>
    html`<p class="of-text of-line" style="margin:0;padding:10px 0;border-top:1px solid #e4e8ee;font-size:15px;line-height:1.5;color:#1b2430">${line}</p>`,
)}
<p class="of-dim" style="margin:16px 0 0;font-size:13px;color:#5b6675">${moreLine(more)}</p>`,
  });
