import { type Logger, pino } from 'pino';

export type Log = Logger;

/** Keys whose values never reach a log line, at the top and one or two levels down (T1, T18, R5). */
const SECRET_KEYS = [
  'app_secret',
  'appSecret',
  'access_token',
  'accessToken',
  'password',
  'token',
  'authorization',
  'sign',
  'credentialsKey',
  'databaseUrl',
  'redisUrl',
];
const PERSONAL_KEYS = [
  'receiptName',
  'mobile',
  'backupMobile',
  'mail',
  'addressLine1',
  'addressLine2',
  'addressLine3',
  'addressLineAll',
  'postCode',
  'buyerMail',
  'shippingBuyerName',
  'shippingPhone',
  'shippingStreet1',
  'shippingPostalCode',
];

const paths = [...SECRET_KEYS, ...PERSONAL_KEYS].flatMap((key) => [key, `*.${key}`, `*.*.${key}`]);

/**
 * One JSON line per event on standard output. Redaction is the second line of defence: the first is that no code passes
 * such values to the log.
 */
export function createLog(options: {
  level: string;
  name: string;
  destination?: NodeJS.WritableStream;
}): Log {
  return pino(
    {
      level: options.level,
      base: { process: options.name, pid: process.pid },
      timestamp: pino.stdTimeFunctions.isoTime,
      redact: { paths, censor: '[hidden]' },
    },
    options.destination ?? process.stdout,
  );
}
