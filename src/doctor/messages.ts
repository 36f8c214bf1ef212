import { listEndpoints } from '../alerts/index.ts';
import { createMailer, mailSettings } from '../alerts/mail.ts';
import { CHANNEL_OF } from '../alerts/routes.ts';
import { createSlack } from '../alerts/slack.ts';
import type { Fleet } from '../fleet.ts';
import { type Check, type Finding, fault, ok, orWell, several, warning } from './check.ts';

const CALL_MS = 10_000;

/** Where messages go: Slack and the mail server are really asked. */
export const messages: Check = {
  name: 'Messages',
  async look(fleet, signal) {
    const found = await Promise.all([slackFindings(fleet, signal), mailFindings(fleet, signal)]);
    return [...found.flat(), ...peopleFindings(fleet)];
  },
};

/** Programs that are told of changes, by what became of their notices. */
export const webhooks: Check = {
  name: 'Webhooks',
  needs: ['database'],
  look: async (fleet) =>
    orWell(await webhookFindings(fleet), 'none is off, and nothing failed in the last week'),
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
  const unset = [...new Set([...Object.values(CHANNEL_OF), 'ALERTS_SLACK_CHANNEL_ID' as const])].filter(
    (setting) => !config[setting],
  );
  const channels =
    unset.length > 0
      ? [
          warning(
            `Slack: no channel in ${unset.join(', ')}: their messages are not sent there`,
            'set the channels’ ids, and invite the bot to them',
          ),
        ]
      : [];
  if (answer.ok) return channels.length > 0 ? channels : [ok('Slack takes our token')];
  const { kind, message } = answer.failure;
  const says = `Slack: ${message}`;
  return [
    kind === 'credentials'
      ? fault(says, 'set SLACK_TOKEN to the bot token (xoxb-…) of your Slack app, with the scope chat:write')
      : warning(says, 'check the network to SLACK_API_URL; messages wait and are tried again'),
    ...channels,
  ];
}

async function mailFindings({ config }: Fleet, signal: AbortSignal): Promise<Finding[]> {
  const settings = mailSettings(config);
  if (typeof settings === 'string') {
    // somebody has begun to set it up
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
        ? ok(`Mail: ${host} lets us in`)
        : warning(
            `Mail: ${host} answers, but offers no login (AUTH), so user and password are not used`,
            'use the port on which it offers one, 465 with smtps:// or 587; or leave user and password out if it needs none',
          ),
    ];
  const { kind, message } = answer.failure;
  const network = `check the name and port of ${host}, and that this machine may reach it${config.SMTP_URL ? ' (SMTP_URL)' : ''}`;
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
            `The webhook endpoint ${url} is off: nothing is sent to it`,
            `orderfleet webhooks resume ${url}`,
          ),
        ]),
    ...(failed > 0
      ? [
          warning(
            `${several(failed, 'delivery', 'deliveries')} to ${url} failed in the last week${error ? `: ${error}` : ''}`,
            'mend the receiver, then: orderfleet webhooks retry --failed',
          ),
        ]
      : []),
  ]);
}

/** What needs a person must reach one. */
const peopleFindings = ({ config }: Fleet): Finding[] =>
  (config.SLACK_TOKEN && config.ALERTS_SLACK_CHANNEL_ID) || typeof mailSettings(config) !== 'string'
    ? []
    : [
        warning(
          'Nobody is told of what needs a person: it is shown by orderfleet status and the dashboard alone',
          'set SLACK_TOKEN and ALERTS_SLACK_CHANNEL_ID, or SMTP_URL and EMAIL_RECIPIENTS',
        ),
      ];
