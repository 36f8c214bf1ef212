import { duration } from '../../durations.ts';
import {
  FRESHNESS_MINUTES,
  STATUSES,
  type TrackerOverview,
  type TrackingOverview,
} from '../../tracking/index.ts';
import { Ago, Bar, Button, Buttons, Cell, count, Heads, Panel, Said, spaced, Table, Tag } from './parts.tsx';

type Trackers = { trackers: readonly TrackerOverview[]; now: number };

const COURIER_HEAD = [
  'Courier',
  'State',
  'Next round',
  'Last round',
  '#Asked',
  '#Updated',
  '#Not found',
  '#Other order',
  '#Unknown word',
  '#Failed',
  '',
];

/** How each tracker runs: its state, its last round, and why it does not run. */
export const Couriers = ({ trackers, now }: Trackers) => (
  <Panel id="couriers" title="Couriers" aside="a round asks for every parcel that is due">
    <Buttons>
      <Table label="Couriers" head={<Heads of={COURIER_HEAD} />}>
        {trackers.map((one) => (
          <tr class={one.on ? '' : 'zero'}>
            <th scope="row" class="keep">
              {one.title}
            </th>
            <td class={one.stoppedReason || one.waitingUntil ? 'name' : 'keep'}>
              <State tracker={one} now={now} />
            </td>
            <td class="keep">{one.on && one.nextRunAt ? <Ago at={one.nextRunAt} now={now} /> : '–'}</td>
            <LastRun tracker={one} now={now} />
            <td class="keep">
              {one.on ? (
                <Button does="track" of={one.name} label={`Ask ${one.title} now`}>
                  ask now
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
        <Tag tone="bad">stopped</Tag> <Said>{tracker.stoppedReason}</Said>
      </>
    );
  if (tracker.waitingUntil)
    return (
      <>
        <Tag tone="warn">waits</Tag> until <Ago at={tracker.waitingUntil} now={now} />:{' '}
        <Said>{tracker.waitingReason}</Said>
      </>
    );
  return <Tag tone="ok">on</Tag>;
};

const LastRun = ({ tracker: { lastRun }, now }: { tracker: TrackerOverview; now: number }) => {
  if (!lastRun) return <td colspan={7}>none yet</td>;
  const { planned, updated, unchanged, notFound, mismatched, unmapped, failed, startedAt, finishedAt } =
    lastRun;
  const asked = updated + unchanged + notFound + mismatched + unmapped + failed;
  return (
    <>
      <td class="keep">
        <Ago at={startedAt} now={now} />
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

/** Statuses of parcels that are followed: the others are final. */
const FOLLOWED = ['pending', 'in_transit', 'out_for_delivery', 'ndr', 'rto_in_transit'];
const AGES = [
  ...FRESHNESS_MINUTES.map((minutes) => `up to ${minutes < 120 ? `${minutes} min` : `${minutes / 60} h`}`),
  'older',
  'never asked',
];
const KINDS = ['b0', 'b1', 'b2', 'b3', 'b4'];

/** Parcels by status and by when they were last asked for, or told of by their courier. */
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
    <Panel
      id="parcels"
      title="Parcels on their way"
      aside="by courier, status and when they were last asked for"
    >
      {followed.length === 0 ? (
        <p class="none">No parcel is followed at the moment.</p>
      ) : (
        <>
          <Table
            label="Parcels on their way"
            head={
              <Heads
                of={[
                  ...['Courier', '#All', ...statuses.map((one) => `#${spaced(one)}`)],
                  ...['Asked longest ago', 'Last asked'],
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
                  <Ago at={one.oldestAskedAt} now={now} />
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
          <ul class="keys" aria-label="When they were last asked for">
            {AGES.map((age, nth) => (
              <li class={KINDS[nth]}>{age}</li>
            ))}
          </ul>
        </>
      )}
      {changes.length > 0 ? (
        <p class="muted">
          Changes of the last day:{' '}
          {changes.map(([status, number]) => `${spaced(status)} ${count(number)}`).join(' · ')}
        </p>
      ) : null}
    </Panel>
  );
};

/** How full the accounts are, and who has to wait (C10, T17). */
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
          ? `the fullest of ${count(limits.length)}`
          : 'use of the last minute, and waits'
      }
    >
      {fullest.length > 0 ? (
        <Table label="Use of limits" head={<Heads of={['Account', '#Used', '']} />}>
          {fullest.map(({ account, used }) => (
            <tr>
              <th scope="row" class="name">
                <Said>{account}</Said>
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
        <p class="none">No use has been measured in the last minutes; the scheduler does it once a minute.</p>
      )}
      {running.length > 0 ? (
        <Table label="Waits" head={<Heads of={['Courier', '#Limit', '#Requests', '#Waits', 'Waits now']} />}>
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
                    <Ago at={waitingUntil} now={now} />
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
