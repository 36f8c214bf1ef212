import type { Config } from '../config.ts';
import { type MailSettings, mailSettings } from './mail.ts';

/**
 * Where a notice goes is decided by its kind and the settings. Its *lane* is known from the row alone, so that the
 * scheduler needs none of the settings; its *destination* (a channel, a mail server, an endpoint) is the worker's
 * business. A kind that is named nowhere here is for people.
 */
export const CHANNEL_OF = {
  booking_cancelled: 'BOOKING_CANCELED_CHANNEL_ID',
  lost: 'LOST_DESTROY_SLACK_CHANNEL_ID',
  destroyed: 'LOST_DESTROY_SLACK_CHANNEL_ID',
  'b2b-delivered': 'B2B_DELIVERED_CHANNEL_ID',
} as const;
export type ParcelKind = keyof typeof CHANNEL_OF;

export const PARCEL_KINDS = Object.keys(CHANNEL_OF) as ParcelKind[];
export const REPORT_KIND = 'tracking-report';
/** A mail that one address still lacks (see recipients.ts). */
export const MAIL_KIND = 'mail';
/** For people: an address that a mail server refuses for good. */
export const REFUSED_KIND = 'mail-refused';
export const WEBHOOK_EVENTS = ['order.rto', 'shipment.updated'] as const;
export type WebhookEvent = (typeof WEBHOOK_EVENTS)[number];
/** Everything that is not for people; besides, whatever names an endpoint is for that endpoint. */
export const MACHINE_KINDS: readonly string[] = [...PARCEL_KINDS, REPORT_KIND, MAIL_KIND, ...WEBHOOK_EVENTS];

/** Notices of one destination, as a condition on the rows. */
export type Which =
  | { kinds: readonly string[]; people: boolean }
  /** null: those that name none. */
  | { endpointId: string | null };

export type Destination =
  | { via: 'slack'; key: string; channel: string; which: Which }
  | { via: 'mail'; key: string; settings: MailSettings; which: Which }
  | { via: 'report'; key: string; settings: MailSettings; which: Which }
  | { via: 'again'; key: string; settings: MailSettings; which: Which }
  | { via: 'webhook'; key: string; endpointId: string | null; which: Which }
  /** `patient`: it waits for a person to set what is missing, for as long as `status` shows it. */
  | { via: 'nowhere'; key: string; why: string; patient: boolean; which: Which };

const isParcelKind = (lane: string): lane is ParcelKind => lane in CHANNEL_OF;

/** @param lane `people`, `webhook`, or the kind itself */
export function destinationOf(lane: string, endpointId: string | undefined, config: Config): Destination {
  if (lane === 'webhook')
    return {
      via: 'webhook',
      key: `webhook ${endpointId}`,
      endpointId: endpointId ?? null,
      which: { endpointId: endpointId ?? null },
    };
  if (lane === REPORT_KIND) return mailDestination('report', lane, config);
  if (lane === MAIL_KIND) return mailDestination('again', lane, config);
  return isParcelKind(lane) ? channelDestination(lane, config) : peopleDestination(config);
}

/** By mail alone: reports, and what single addresses still lack. */
function mailDestination(via: 'report' | 'again', kind: string, config: Config): Destination {
  const which: Which = { kinds: [kind], people: false };
  const off = via === 'report' && config.REPORTS === 'off';
  const settings = off ? 'reports are switched off: REPORTS=off' : mailSettings(config);
  return typeof settings === 'string'
    ? { via: 'nowhere', key: `nowhere ${via}`, why: settings, patient: false, which }
    : { via, key: via, settings, which };
}

const slackKey = (channel: string) => `slack ${channel}`;

function channelDestination(kind: ParcelKind, config: Config): Destination {
  const setting = CHANNEL_OF[kind];
  const channel = config[setting];
  if (config.SLACK_TOKEN && channel)
    return { via: 'slack', key: slackKey(channel), channel, which: whichOfChannel(channel, config) };
  const missing = [...(config.SLACK_TOKEN ? [] : ['SLACK_TOKEN']), ...(channel ? [] : [setting])];
  const what = channel ? 'token' : 'channel';
  return {
    ...{ via: 'nowhere', key: `nowhere ${kind}`, patient: false },
    why: `no Slack ${what} configured: set ${missing.join(' and ')}`,
    which: { kinds: [kind], people: false },
  };
}

/** All that goes to a channel goes there in one message, also where two settings name the same channel. */
const whichOfChannel = (channel: string, config: Config): Which => ({
  kinds: PARCEL_KINDS.filter((kind) => config[CHANNEL_OF[kind]] === channel),
  people: config.ALERTS_SLACK_CHANNEL_ID === channel,
});

function peopleDestination(config: Config): Destination {
  const channel = config.ALERTS_SLACK_CHANNEL_ID;
  if (config.SLACK_TOKEN && channel)
    return { via: 'slack', key: slackKey(channel), channel, which: whichOfChannel(channel, config) };
  const which: Which = { kinds: [], people: true };
  const settings = mailSettings(config);
  if (typeof settings !== 'string') return { via: 'mail', key: 'mail', settings, which };
  const why =
    'nobody is told, status alone shows it: set SLACK_TOKEN and ALERTS_SLACK_CHANNEL_ID, or a mail server and EMAIL_RECIPIENTS';
  return { via: 'nowhere', key: 'nowhere people', why, patient: true, which };
}
