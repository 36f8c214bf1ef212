/**
 * Temu's error codes by what a worker does about them (T16). The same grouping is data in
 * tests/fixtures/temu/error-retry-classes.json; a test keeps the two in step.
 */
export type ErrorClass =
  | 'throttle'
  | 'transient'
  | 'notReady'
  | 'credentials'
  | 'scope'
  | 'bug'
  | 'clock'
  | 'wrongRegion'
  | 'sellerMustAct'
  | 'alreadyDone'
  | 'terminal';

export const ERROR_CLASSES: Record<ErrorClass, readonly number[]> = {
  throttle: [4000004, 110020007],
  transient: [
    2000000, 4000000, 6000001, 7000000, 110020001, 120011001, 120011107, 120014006, 120018036, 120020001,
    130010000, 140040003,
  ],
  notReady: [140020008, 140020009],
  credentials: [3000026, 3000027, 3000028, 3000030, 3000031, 3000033, 3000034, 5000000, 5000003],
  scope: [3000032, 5000001],
  bug: [3000001, 3000002, 3000003, 3000004, 3000010, 3000013, 3000014, 3000025, 3000040],
  clock: [3000011, 3000012],
  wrongRegion: [120011072, 140020001, 140020015],
  sellerMustAct: [
    120011031, 140020003, 120011065, 120011086, 120012023, 120012030, 120012031, 120017007, 120018025,
    180020008,
  ],
  alreadyDone: [120012004, 120014003, 120014004],
  terminal: [
    120011006, 120011011, 120011030, 120011045, 120011059, 120011085, 120011091, 120011092, 120011098,
    120012007, 120012015, 120012016, 120012020, 120012034, 120012035, 120012041, 120012063, 120012064,
    120014001, 120014005, 120014008, 120014019, 120014020, 120014022, 120014023, 120015026, 120015030,
    120015037, 120015050, 120015518, 120015527, 120015528, 120015530, 120015531, 120015537, 120015539,
    120015543, 120018021, 120018069,
  ],
};

const CLASS_OF = new Map(
  Object.entries(ERROR_CLASSES).flatMap(([name, codes]) =>
    codes.map((code) => [code, name as ErrorClass] as const),
  ),
);

/** "app_key not exists" */
const NO_SUCH_APP = 3000026;
/** Temu's general system error, but with this text it means an app key unknown to the host. */
const SYSTEM_ERROR = 4000000;
const UNKNOWN_APP = /application information query is abnormal/i;

/** The host does not know the app key: it is mistyped, or belongs to another region, whose host knows it (T15). */
export const isUnknownApp = ({ code, message }: { code: number; message: string }): boolean =>
  code === NO_SUCH_APP || (code === SYSTEM_ERROR && UNKNOWN_APP.test(message));

/** An unknown code is terminal for this job, and its text is shown (T16). */
export const classOf = (code: number, message: string): ErrorClass =>
  isUnknownApp({ code, message }) ? 'credentials' : (CLASS_OF.get(code) ?? 'terminal');
