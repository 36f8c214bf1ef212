import { COURIERS, standIns } from './couriers/catalogue.ts';

/** The text of `npm run sandbox -- --help`. */
export const HELP = `Simulates Temu's router with demo shops and orders, ${inWords(COURIERS.length)} courier tracking APIs with parcels, Slack,
an SMTP server and a webhook receiver.

  npm run sandbox -- [options]

  --port N        port on 127.0.0.1 (4010; 0 = any free one)
  --seed N        seed for orders, parcels and faults (1)
  --orders N      orders per demo shop at the start (300)
  --days N        days that these orders are spread over (30)
  --parcels N     parcels per courier at the start, plus the recorded ones (100)
  --limit API=MAX/SECONDS  rate limit of a courier, or API=none; repeatable
                  ${wrapped(`(${usualLimits()})`)}
  --webhooks URL  ${wrapped(`${whoTells()} (none)`)}
  --smtp-port N   port of the SMTP server (the one after --port; 0 = any free one)
  --live          new orders keep coming in, are paid, changed, shipped and delivered
  --ships-by-api  orders ship only when confirmed through the API
  --speed N       orders and parcels move N times as fast as in reality (1)
  --qps N         requests per second per app key (20, as on Temu)
  --latency MS    delay before each response (0)
  --clock-offset MS  offset of Temu's clock (0)
  --state FILE    load the state from FILE, save it there every 10 s and on exit
  --help          show this help

Example: npm run sandbox -- --orders 2000 --live --speed 60 --state .sandbox-state
`;

function inWords(count: number): string {
  const words = ['no', 'one', 'two', 'three', 'four', 'five', 'six', 'seven', 'eight', 'nine', 'ten'];
  return words[count] ?? String(count);
}

/** Lines of the help behind an option's name. */
function wrapped(text: string): string {
  return text
    .replace(/(.{1,101})(?: |$)/g, '$1\n')
    .trimEnd()
    .replaceAll('\n', `\n${' '.repeat(18)}`);
}

function usualLimits(): string {
  const [some, none] = [standIns.filter(({ limit }) => limit), standIns.filter(({ limit }) => !limit)];
  const limited = some.map(({ name, limit }) => `${name}=${limit?.max}/${limit?.perSeconds}`);
  return `${limited.join(', ')}; ${none.map(({ name }) => name).join(', ')}: none`;
}

function whoTells(): string {
  const ways = standIns.flatMap(({ webhook }) => (webhook ? [`${webhook.who} at URL/${webhook.path}`] : []));
  return [...new Set(ways)].join(', ').replace(' at', ' sends each new scan to');
}
