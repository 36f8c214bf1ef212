import { html } from 'hono/html';

type Html = ReturnType<typeof html>;

/**
 * The layout of all mails: one column of at most 600 px that shrinks with the screen. Essential styles are inline, since
 * many mail programs drop <style>; those that keep it get dark colours and tighter margins.
 */
export function page({ title, body }: { title: string; body: Html }): string {
  return `<!doctype html>\n${html`<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<meta name="supported-color-schemes" content="light dark">
<title>${title}</title>
<style>
@media (prefers-color-scheme: dark) {
  .of-page { background: #14181f !important; }
  .of-card { background: #1d232c !important; border-color: #323b48 !important; }
  .of-text { color: #eef1f5 !important; }
  .of-dim { color: #a3afbf !important; }
  .of-line { border-color: #323b48 !important; }
  .of-code { background: #2a323d !important; color: #eef1f5 !important; }
}
@media (max-width: 480px) {
  .of-pad { padding: 20px 16px !important; }
  .of-outer { padding: 8px !important; }
}
</style>
</head>
<body class="of-page" style="margin:0;padding:0;background:#f3f5f8;-webkit-text-size-adjust:100%">
<table role="presentation" width="100%" cellpadding="0" cellspacing="0" style="border-collapse:collapse"><tr>
<td class="of-outer" align="center" style="padding:24px 12px">
<table role="presentation" width="100%" cellpadding="0" cellspacing="0" class="of-card" style="max-width:600px;border-collapse:separate;background:#ffffff;border:1px solid #dfe4ea;border-radius:10px;text-align:left"><tr>
<td class="of-pad" style="padding:28px 32px;font-family:-apple-system,BlinkMacSystemFont,'Segoe UI',Roboto,'Helvetica Neue',Arial,sans-serif">
${body}
</td></tr></table>
</td></tr></table>
</body>
</html>`}\n`;
}
