import { duration } from '../../lib/format-time.ts';
import {
  FRESHNESS_MINUTES,
  isFinal,
  STATUSES,
  type TrackerOverview,
  type TrackingOverview,
} from '../../tracking/index.ts';
import {
  Bar,
  Button,
  Buttons,
  Cell,
  count,
  HeaderCells,
  Panel,
  RelativeTime,
  spaced,
  Table,
  Tag,
  UserText,
} from './parts.tsx';

type Trackers = { trackers: readonly TrackerOverview[]; now: number };

const COURIER_HEAD = [
  'Courier',
  'State',
  'Next run',
  'Last run',
  '#Checked',
  '#Updated',
  '#Not found',
  '#Other order',
  '#Unmapped',
  '#Failed',
  '',
];

/** Each tracker: its state, its last run, and why it does not run. */
export const Couriers = ({ trackers, now }: Trackers) => (
  <Panel id="couriers" title="Couriers" aside="a run checks every parcel that is due">
    <Buttons>
      <Table label="Couriers" head={<HeaderCells of={COURIER_HEAD} />}>
        {trackers.map((one) => (
          <tr class={one.on ? '' : 'zero'}>
            <th scope="row" class="keep">
              {one.title}
            </th>
            <td class={one.stoppedReason || one.waitingUntil || one.feed ? 'name' : 'keep'}>
              <State tracker={one} now={now} />
            </td>
            <td class="keep">
              {one.on && one.nextRunAt ? <RelativeTime at={one.nextRunAt} now={now} /> : '–'}
            </td>
            <LastRun tracker={one} now={now} />
            <td class="keep">
              {one.on ? (
                <Button does="track" of={one.name} label={`Run ${one.title} now`}>
                  Run now
                </Button>
              ) : null}
            </td>
          </tr>
        ))}
      </Table>
    </Buttons>
  </Panel>
);

const State = ({ tracker, now }: { tracker: TrackerOverview; now: number }) => {
  if (!tracker.on)
    return (
      <>
        <Tag>off</Tag> <span class="zero">{tracker.off}</span>
      </>
    );
  if (tracker.stoppedReason)
    return (
      <>
        <Tag tone="bad">stopped</Tag> <UserText>{tracker.stoppedReason}</UserText>
      </>
    );
  if (tracker.waitingUntil)
    return (
      <>
        <Tag tone="warn">cooling down</Tag> until <RelativeTime at={tracker.waitingUntil} now={now} />:{' '}
        <UserText>{tracker.waitingReason}</UserText>
      </>
    );
  if (tracker.feed)
    return (
      <>
        <Tag tone="warn">feed fails</Tag> first <RelativeTime at={tracker.feed.failingSince} now={now} />:{' '}
        <UserText>{tracker.feed.why}</UserText>
        {tracker.feed.byNumber ? '; parcels are polled by number' : ''}
      </>
    );
  return <Tag tone="ok">active</Tag>;
};

const LastRun = ({ tracker: { lastRun }, now }: { tracker: TrackerOverview; now: number }) => {
  if (!lastRun) return <td colspan={7}>none yet</td>;
  const { planned, updated, unchanged, notFound, mismatched, unmapped, failed, startedAt, finishedAt } =
    lastRun;
  const asked = updated + unchanged + notFound + mismatched + unmapped + failed;
  return (
    <>
      <td class="keep">
        <RelativeTime at={startedAt} now={now} />
        {finishedAt ? `, took ${duration(finishedAt.getTime() - startedAt.getTime())}` : ', running'}
      </td>
      <td class="num">
        {count(asked)} of {count(planned)}
      </td>
      <Cell of={updated} />
      <Cell of={notFound} />
      <Cell of={mismatched} tone="warn" />
      <Cell of={unmapped} tone="warn" />
      <Cell of={failed} tone="bad" />
    </>
  );
};

/** Statuses of parcels that are tracked: the others are final. */
const FOLLOWED: readonly string[] = STATUSES.filter((status) => !isFinal(status));
const AGES = [
  ...FRESHNESS_MINUTES.map((minutes) => `up to ${minutes < 120 ? `${minutes} min` : `${minutes / 60} h`}`),
  'older',
  'never checked',
];
const KINDS = ['b0', 'b1', 'b2', 'b3', 'b4'];

/** Parcels by status and by when they were last checked. */
export const Parcels = ({
  tracking: { trackers, parcels },
  now,
}: {
  tracking: TrackingOverview;
  now: number;
}) => {
  const followed = trackers.filter((one) => one.parcels > 0);
  const statuses = [
    ...FOLLOWED,
    ...STATUSES.filter((one) => !FOLLOWED.includes(one) && parcels.followed[one]),
  ];
  const changes = Object.entries(parcels.changes);
  return (
    <Panel id="parcels" title="Parcels in transit" aside="by courier, status and last check">
      {followed.length === 0 ? (
        <p class="none">No parcels are being tracked.</p>
      ) : (
        <>
          <Table
            label="Parcels in transit"
            head={
              <HeaderCells
                of={[
                  ...['Courier', '#All', ...statuses.map((one) => `#${spaced(one)}`)],
                  ...['Oldest check', 'Last checked'],
                ]}
              />
            }
          >
            {followed.map((one) => (
              <tr>
                <th scope="row" class="keep">
                  {one.title}
                </th>
                <Cell of={one.parcels} />
                {statuses.map((status) => (
                  <Cell of={one.statuses[status] ?? 0} />
                ))}
                <td class="keep">
                  <RelativeTime at={one.oldestAskedAt} now={now} />
                </td>
                <td>
                  <span
                    title={[...one.freshness, one.neverAsked]
                      .map((number, nth) => `${AGES[nth]}: ${count(number)}`)
                      .join(', ')}
                  >
                    <Bar parts={[...one.freshness, one.neverAsked]} kinds={KINDS} />
                  </span>
                </td>
              </tr>
            ))}
          </Table>
          <ul class="keys" aria-label="Last checked">
            {AGES.map((age, nth) => (
              <li class={KINDS[nth]}>{age}</li>
            ))}
          </ul>
        </>
      )}
      {changes.length > 0 ? (
        <p class="muted">
          Changes in the last 24 hours:{' '}
          {changes.map(([status, number]) => `${spaced(status)} ${count(number)}`).join(' · ')}
        </p>
      ) : null}
    </Panel>
  );
};

/** Rate-limit use, and trackers in cooldown (C10, T17). */
export const Limits = ({
  trackers,
  limits,
  now,
}: Trackers & { limits: readonly { account: string; used: number }[] }) => {
  const fullest = limits.toSorted((a, b) => b.used - a.used).slice(0, 12);
  const running = trackers.filter(({ on }) => on);
  return (
    <Panel
      id="limits"
      title="Rate limits"
      aside={
        limits.length > fullest.length
          ? `the ${fullest.length} most used of ${count(limits.length)}`
          : 'use in the last minute, and pauses'
      }
    >
      {fullest.length > 0 ? (
        <Table label="Rate-limit use" head={<HeaderCells of={['Account', '#Used', '']} />}>
          {fullest.map(({ account, used }) => (
            <tr>
              <th scope="row" class="name">
                <UserText>{account}</UserText>
              </th>
              <td class="num">{Math.round(used * 100)} %</td>
              <td>
                <Bar
                  parts={[Math.min(1, used) * 100, Math.max(0, 1 - used) * 100]}
                  kinds={['full', 'rest']}
                />
              </td>
            </tr>
          ))}
        </Table>
      ) : (
        <p class="none">No measurements in the last few minutes; the scheduler takes one every minute.</p>
      )}
      {running.length > 0 ? (
        <Table
          label="Rate-limit pauses"
          head={<HeaderCells of={['Courier', '#Limit', '#Requests', '#Pauses', 'Paused until']} />}
        >
          {running.map(({ title, lastRun, waitingUntil }) => (
            <tr>
              <th scope="row" class="keep">
                {title}
              </th>
              <td class="num">{limitText(lastRun?.requestLimit ?? null)}</td>
              <Cell of={lastRun?.requests ?? 0} />
              <td class={`num ${lastRun?.waits ? 'warn' : 'zero'}`}>
                {lastRun?.waits ? `${lastRun.waits}, ${duration(lastRun.waitedMs)}` : '0'}
              </td>
              <td class="keep">
                {waitingUntil ? (
                  <span class="warn">
                    <RelativeTime at={waitingUntil} now={now} />
                  </span>
                ) : (
                  <span class="zero">no</span>
                )}
              </td>
            </tr>
          ))}
        </Table>
      ) : null}
    </Panel>
  );
};

/** "7/3" → "7 in 3 s". */
const limitText = (limit: string | null): string => (limit ? `${limit.replace('/', ' in ')} s` : 'none');
