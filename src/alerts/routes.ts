import type { Config } from '../config/index.ts';
import { type KindFor, kindsFor, NOTICES } from '../notices/index.ts';
import { type MailSettings, mailSettings } from './mail.ts';

/**
 * A notice is routed by its kind's audience (notices/index.ts) and the settings. The scheduler knows its *lane* from the
 * row alone, without settings; the worker maps the lane to a *destination* (a channel, a mail server, an endpoint). An
 * unregistered kind, e.g. of another build, is for operators.
 */
export type ParcelKind = KindFor<'channel'>;
export const PARCEL_KINDS = kindsFor('channel');
export const WEBHOOK_EVENTS = kindsFor('endpoints');
export type WebhookEvent = KindFor<'endpoints'>;
export const REPORT_KIND: KindFor<'report'> = 'tracking-report';
export const MAIL_KIND: KindFor<'mail'> = 'mail';
/** Kinds that are not for operators; a notice that names an endpoint goes to that endpoint, whatever its kind. */
export const MACHINE_KINDS: readonly string[] = [...PARCEL_KINDS, REPORT_KIND, MAIL_KIND, ...WEBHOOK_EVENTS];

const channelOf = (kind: ParcelKind) => NOTICES[kind].channel;
/** The settings that name channels for parcels. */
export const CHANNELS = [...new Set(PARCEL_KINDS.map(channelOf))];

/** Notices of one destination, as a condition on the rows. */
export type NoticeFilter =
  | { kinds: readonly string[]; operators: boolean }
  /** null: notices without an endpoint. */
  | { endpointId: string | null };

export type Destination =
  | { via: 'slack'; key: string; channel: string; which: NoticeFilter }
  | { via: 'mail'; key: string; settings: MailSettings; which: NoticeFilter }
  | { via: 'report'; key: string; settings: MailSettings; which: NoticeFilter }
  | { via: 'again'; key: string; settings: MailSettings; which: NoticeFilter }
  | { via: 'webhook'; key: string; endpointId: string | null; which: NoticeFilter }
  /** `waitsForConfig`: kept until the missing settings are there, for as long as `status` shows it. */
  | { via: 'unrouted'; key: string; why: string; waitsForConfig: boolean; which: NoticeFilter };

const isParcelKind = (lane: string): lane is ParcelKind => (PARCEL_KINDS as readonly string[]).includes(lane);

/** @param lane `operators`, `webhook`, or the kind itself */
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
  return isParcelKind(lane) ? channelDestination(lane, config) : operatorDestination(config);
}

/** Mail only: reports, and mails that single addresses still lack. */
function mailDestination(via: 'report' | 'again', kind: string, config: Config): Destination {
  const which: NoticeFilter = { kinds: [kind], operators: false };
  const off = via === 'report' && config.REPORTS === 'off';
  const settings = off ? 'reports are disabled: REPORTS=off' : mailSettings(config);
  return typeof settings === 'string'
    ? { via: 'unrouted', key: `unrouted ${via}`, why: settings, waitsForConfig: false, which }
    : { via, key: via, settings, which };
}

const slackKey = (channel: string) => `slack ${channel}`;

function channelDestination(kind: ParcelKind, config: Config): Destination {
  const setting = channelOf(kind);
  const channel = config[setting];
  if (config.SLACK_TOKEN && channel)
    return { via: 'slack', key: slackKey(channel), channel, which: whichOfChannel(channel, config) };
  const missing = [...(config.SLACK_TOKEN ? [] : ['SLACK_TOKEN']), ...(channel ? [] : [setting])];
  const what = channel ? 'token' : 'channel';
  return {
    ...{ via: 'unrouted', key: `unrouted ${kind}`, waitsForConfig: false },
    why: `no Slack ${what} configured: set ${missing.join(' and ')}`,
    which: { kinds: [kind], operators: false },
  };
}

/** Everything for one channel goes there in one message, also when two settings name the same channel. */
const whichOfChannel = (channel: string, config: Config): NoticeFilter => ({
  kinds: PARCEL_KINDS.filter((kind) => config[channelOf(kind)] === channel),
  operators: config.ALERTS_SLACK_CHANNEL_ID === channel,
});

function operatorDestination(config: Config): Destination {
  const channel = config.ALERTS_SLACK_CHANNEL_ID;
  if (config.SLACK_TOKEN && channel)
    return { via: 'slack', key: slackKey(channel), channel, which: whichOfChannel(channel, config) };
  const which: NoticeFilter = { kinds: [], operators: true };
  const settings = mailSettings(config);
  if (typeof settings !== 'string') return { via: 'mail', key: 'mail', settings, which };
  const why =
    'no alert channel is configured, only status shows it: set SLACK_TOKEN and ALERTS_SLACK_CHANNEL_ID, or a mail server and EMAIL_RECIPIENTS';
  return { via: 'unrouted', key: 'unrouted operators', why, waitsForConfig: true, which };
}
