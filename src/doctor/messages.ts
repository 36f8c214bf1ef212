import { listEndpoints } from '../alerts/index.ts';
import { createMailer, mailSettings } from '../alerts/mail.ts';
import { CHANNELS } from '../alerts/routes.ts';
import { createSlack } from '../alerts/slack.ts';
import type { Fleet } from '../fleet/index.ts';
import { plural } from '../lib/plural.ts';
import { type Check, type Finding, fault, ok, orWell, warning } from './check.ts';

const CALL_MS = 10_000;

/** Channels for messages, with a real call to Slack and the mail server. */
export const messages: Check = {
  name: 'Messages',
  async look(fleet, signal) {
    const found = await Promise.all([slackFindings(fleet, signal), mailFindings(fleet, signal)]);
    return [...found.flat(), ...alertFindings(fleet)];
  },
};

/** Webhook endpoints, by the results of their deliveries. */
export const webhooks: Check = {
  name: 'Webhooks',
  needs: ['database'],
  look: async (fleet) => orWell(await webhookFindings(fleet), 'all active, no failures in the last week'),
};

async function slackFindings({ config, http }: Fleet, signal: AbortSignal): Promise<Finding[]> {
  if (!config.SLACK_TOKEN) return [ok('Slack: not set up (SLACK_TOKEN)')];
  const slack = createSlack({
    http,
    url: config.SLACK_API_URL,
    token: config.SLACK_TOKEN,
    timeoutMs: CALL_MS,
  });
  const answer = await slack.test(signal);
  const unset = [...CHANNELS, 'ALERTS_SLACK_CHANNEL_ID' as const].filter((setting) => !config[setting]);
  const channels =
    unset.length > 0
      ? [
          warning(
            `Slack: ${unset.join(', ')} not set: their messages are not sent to Slack`,
            'set the channel ids, and invite the bot to the channels',
          ),
        ]
      : [];
  if (answer.ok) return channels.length > 0 ? channels : [ok('Slack: token accepted')];
  const { kind, message } = answer.failure;
  const says = `Slack: ${message}`;
  return [
    kind === 'credentials'
      ? fault(says, 'set SLACK_TOKEN to the bot token (xoxb-…) of your Slack app, with the scope chat:write')
      : warning(says, 'check the network connection to SLACK_API_URL; messages are kept and retried'),
    ...channels,
  ];
}

async function mailFindings({ config }: Fleet, signal: AbortSignal): Promise<Finding[]> {
  const settings = mailSettings(config);
  if (typeof settings === 'string') {
    // partly set up
    const begun = config.SMTP_URL || config.EMAIL_SENDER || config.EMAIL_RECIPIENTS.length > 0;
    return [
      begun ? warning(`Mail: ${settings}`, settings) : ok('Mail: not set up (SMTP_URL, EMAIL_RECIPIENTS)'),
    ];
  }
  const answer = await createMailer(settings, CALL_MS).verify(signal);
  const { host } = settings;
  if (answer.ok)
    return [
      answer.value === 'in'
        ? ok(`Mail: ${host} accepts connections`)
        : warning(
            `Mail: ${host} answers but does not offer a login (AUTH), so user and password are not used`,
            'use the port that offers one: 465 with smtps://, or 587; or remove user and password if none are needed',
          ),
    ];
  const { kind, message } = answer.failure;
  const network = `check the name and port of ${host}, and that this machine can reach it${config.SMTP_URL ? ' (SMTP_URL)' : ''}`;
  const login = config.SMTP_URL
    ? 'correct SMTP_URL: smtps://user:password@host:465, with %-escapes in the password'
    : 'set EMAIL_PASSWORD to an app password of EMAIL_SENDER’s Gmail account';
  return [fault(`Mail: ${message}`, kind === 'credentials' ? login : network)];
}

async function webhookFindings({ db, clock }: Fleet): Promise<Finding[]> {
  return (await listEndpoints(db, clock())).flatMap(({ url, active, failed, error }) => [
    ...(active
      ? []
      : [
          warning(
            `Webhook endpoint ${url} is stopped: no events are sent`,
            `orderfleet webhooks resume ${url}`,
          ),
        ]),
    ...(failed > 0
      ? [
          warning(
            `${plural(failed, 'delivery', 'deliveries')} to ${url} failed in the last week${error ? `: ${error}` : ''}`,
            'fix the receiver, then: orderfleet webhooks retry --failed',
          ),
        ]
      : []),
  ]);
}

/** Alerts must reach an operator. */
const alertFindings = ({ config }: Fleet): Finding[] =>
  (config.SLACK_TOKEN && config.ALERTS_SLACK_CHANNEL_ID) || typeof mailSettings(config) !== 'string'
    ? []
    : [
        warning(
          'No alerts are sent: issues are shown only by orderfleet status and on the dashboard',
          'set SLACK_TOKEN and ALERTS_SLACK_CHANNEL_ID, or SMTP_URL and EMAIL_RECIPIENTS',
        ),
      ];
