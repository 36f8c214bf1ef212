import type { Child } from 'hono/jsx';
import type { ParcelStory } from '../../temu/awb/index.ts';
import type { TrackingStory } from '../../tracking/index.ts';
import {
  Ago,
  At,
  Button,
  Buttons,
  Heads,
  Panel,
  Said,
  StoryLink,
  spaced,
  Table,
  Tag,
  utc,
} from './parts.tsx';

/** A name and its value, in a list of class `facts`. */
export const Fact = ({ name, children }: { name: string; children: Child }) => (
  <>
    <dt>{name}</dt>
    <dd>
      <bdi>{children}</bdi>
    </dd>
  </>
);

/** A status' colour. */
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

/** What Temu was told. */
export const Parcels = ({ parcels }: { parcels: readonly ParcelStory[] }) => (
  <Panel id="parcels" title="AWBs and Temu">
    <Buttons>
      <Table
        label="AWBs and Temu"
        head={<Heads of={['AWB', 'Carrier', 'State', 'Booked (UTC)', 'Why, and what comes next']} />}
      >
        {parcels.map((one) => (
          <tr>
            <td class="keep">{one.awbNumber ? <StoryLink number={one.awbNumber} /> : '–'}</td>
            <td class="name">
              <Said>{one.carrier ?? '–'}</Said>
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
              <Said>{one.because}</Said>{' '}
              {one.order && (one.push === 'parked' || one.push === 'rejected') ? (
                <Button does="retry" of={one.order}>
                  try again
                </Button>
              ) : null}
            </td>
          </tr>
        ))}
      </Table>
    </Buttons>
  </Panel>
);

const SIBLINGS: Record<TrackingStory['siblings'][number]['is'], string> = {
  split: 'another parcel of the order:',
  after: 'the order was booked again as',
  before: 'the order was booked before as',
};

/** A parcel on its way. */
export const Tracking = ({ story, nth, now }: { story: TrackingStory; nth: number; now: number }) => {
  const number = [
    story.awbNumber ? `AWB ${story.awbNumber}` : '',
    story.lrNumber ? `LR ${story.lrNumber}` : '',
  ]
    .filter(Boolean)
    .join(', ');
  const bad = ['lost', 'destroyed', 'ndr'].includes(story.status);
  return (
    <div class="columns" id={`parcel-${nth}`} data-live="">
      <Panel
        id={`parcel-${nth}-what`}
        title={`Parcel ${number}`}
        aside={<Tag tone={bad ? 'bad' : toneOf(story.status)}>{spaced(story.status)}</Tag>}
        still
      >
        <p class="because">
          <Said>{story.because}</Said>
        </p>
        <dl class="facts">
          <Fact name="order">
            <StoryLink number={story.order} /> from {story.source}
          </Fact>
          <Fact name="booked">
            <Ago at={story.bookedAt} now={now} /> with {story.bookingCourier}
          </Fact>
          <Fact name="courier">
            {story.courierStatus ?? 'nothing yet'}
            {story.statusAt ? (
              <>
                {' '}
                since <Ago at={story.statusAt} now={now} />
              </>
            ) : null}
          </Fact>
          <Fact name="last asked">
            <Ago at={story.lastAskedAt} now={now} />
          </Fact>
          {story.nextRunAt ? (
            <Fact name="next round">
              <Ago at={story.nextRunAt} now={now} />
            </Fact>
          ) : null}
          {story.unmapped ? (
            <Fact name="not known">
              <span class="warn">“{story.unmapped.word}”</span>
            </Fact>
          ) : null}
          {story.siblings.map((one) => (
            <Fact name="besides">
              {SIBLINGS[one.is]} <StoryLink number={one.number} />, {spaced(one.status)}
            </Fact>
          ))}
        </dl>
      </Panel>
      <Panel id={`parcel-${nth}-events`} title="Its way" aside="by the courier’s clock, in UTC" still>
        {story.events.length === 0 ? (
          <p class="none">No change of status yet.</p>
        ) : (
          <ol class="events">
            {story.events.map((event) => (
              <li>
                <At at={event.occurredAt} />
                <span dir="auto" title={`heard ${utc(event.recordedAt)}`}>
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
