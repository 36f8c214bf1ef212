import type { Child } from 'hono/jsx';
import type { PushTimeline } from '../../temu/awb/index.ts';
import type { TrackingTimeline } from '../../tracking/index.ts';
import {
  At,
  Button,
  Buttons,
  HeaderCells,
  Panel,
  RelativeTime,
  spaced,
  Table,
  Tag,
  TimelineLink,
  UserText,
  utc,
} from './parts.tsx';

/** A name and its value, in a `<dl class="facts">`. */
export const Fact = ({ name, children }: { name: string; children: Child }) => (
  <>
    <dt>{name}</dt>
    <dd>
      <bdi>{children}</bdi>
    </dd>
  </>
);

/** A status's colour. */
export const toneOf = (status: string) =>
  status === 'Incomplete'
    ? 'warn'
    : ['Shipped', 'Partially Shipped', 'delivered', 'sent'].includes(status)
      ? 'ok'
      : '';

const PUSH_TONES: Record<string, 'ok' | 'warn' | 'bad'> = {
  sent: 'ok',
  parked: 'bad',
  rejected: 'bad',
  unknown: 'warn',
};

/** What was confirmed with Temu. */
export const Parcels = ({ parcels }: { parcels: readonly PushTimeline[] }) => (
  <Panel id="parcels" title="AWBs and Temu">
    <Buttons>
      <Table
        label="AWBs and Temu"
        head={<HeaderCells of={['AWB', 'Carrier', 'State', 'Booked (UTC)', 'Reason and next step']} />}
      >
        {parcels.map((one) => (
          <tr>
            <td class="keep">{one.awbNumber ? <TimelineLink number={one.awbNumber} /> : '–'}</td>
            <td class="name">
              <UserText>{one.carrier ?? '–'}</UserText>
            </td>
            <td>
              {one.push ? (
                <Tag tone={PUSH_TONES[one.push] ?? ''}>{one.push}</Tag>
              ) : (
                <span class="zero">–</span>
              )}
            </td>
            <td class="keep">{one.bookedAt ? <At at={one.bookedAt} /> : '–'}</td>
            <td class="wide">
              <UserText>{one.because}</UserText>{' '}
              {one.order && (one.push === 'parked' || one.push === 'rejected') ? (
                <Button does="retry" of={one.order}>
                  Retry
                </Button>
              ) : null}
            </td>
          </tr>
        ))}
      </Table>
    </Buttons>
  </Panel>
);

const SIBLINGS: Record<TrackingTimeline['siblings'][number]['is'], string> = {
  split: 'part of the same order:',
  after: 'rebooked as',
  before: 'previously booked as',
  return: 'goes back as',
  redirection: 'redirected as',
  'return-of': 'the return of',
  'redirection-of': 'redirected from',
};

/** A parcel and its tracking history. */
export const Tracking = ({
  timeline,
  nth,
  now,
}: {
  timeline: TrackingTimeline;
  nth: number;
  now: number;
}) => {
  const number = [
    timeline.awbNumber ? `AWB ${timeline.awbNumber}` : '',
    timeline.lrNumber ? `LR ${timeline.lrNumber}` : '',
  ]
    .filter(Boolean)
    .join(', ');
  const bad = ['lost', 'destroyed', 'ndr'].includes(timeline.status);
  return (
    <div class="columns" id={`parcel-${nth}`} data-live="">
      <Panel
        id={`parcel-${nth}-what`}
        title={`Parcel ${number}`}
        aside={<Tag tone={bad ? 'bad' : toneOf(timeline.status)}>{spaced(timeline.status)}</Tag>}
        still
      >
        <p class="because">
          <UserText>{timeline.because}</UserText>
        </p>
        <dl class="facts">
          <Fact name="order">
            <TimelineLink number={timeline.order} /> from {timeline.source}
          </Fact>
          <Fact name="booked">
            <RelativeTime at={timeline.bookedAt} now={now} /> with {timeline.bookingCourier}
          </Fact>
          <Fact name="courier status">
            {timeline.courierStatus ?? 'no status yet'}
            {timeline.statusAt ? (
              <>
                {' '}
                since <RelativeTime at={timeline.statusAt} now={now} />
              </>
            ) : null}
          </Fact>
          <Fact name="last checked">
            <RelativeTime at={timeline.lastAskedAt} now={now} />
          </Fact>
          {timeline.nextRunAt ? (
            <Fact name="next check">
              <RelativeTime at={timeline.nextRunAt} now={now} />
            </Fact>
          ) : null}
          {timeline.unmapped ? (
            <Fact name="unmapped status">
              <span class="warn">“{timeline.unmapped.word}”</span>
            </Fact>
          ) : null}
          {timeline.siblings.map((one) => (
            <Fact name="related">
              {SIBLINGS[one.is]} <TimelineLink number={one.number} />, {spaced(one.status)}
            </Fact>
          ))}
        </dl>
      </Panel>
      <Panel id={`parcel-${nth}-events`} title="Tracking history" aside="courier’s times, in UTC" still>
        {timeline.events.length === 0 ? (
          <p class="none">No status changes yet.</p>
        ) : (
          <ol class="events">
            {timeline.events.map((event) => (
              <li>
                <At at={event.occurredAt} />
                <span dir="auto" title={`received ${utc(event.recordedAt)}`}>
                  <b>{spaced(event.status)}</b>{' '}
                  {event.courierStatus ? <span class="muted">{event.courierStatus}</span> : null}
                </span>
              </li>
            ))}
          </ol>
        )}
      </Panel>
    </div>
  );
};
