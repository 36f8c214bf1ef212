import type { DeliveryOverview } from '../../alerts/index.ts';
import type { Overview } from '../../ops/overview.ts';
import type { OrderAtRisk } from '../../orders/at-risk.ts';
import type { UnmappedStatus } from '../../tracking/index.ts';
import { Charts } from './charts.tsx';
import { Couriers, Limits, Parcels } from './couriers.tsx';
import { AttentionItems, Figures, Headline } from './headline.tsx';
import { errorsHref } from './orders.tsx';
import type { OverviewData } from './overview-data.ts';
import {
  Cell,
  Countdown,
  count,
  HeaderCells,
  Panel,
  RelativeTime,
  Table,
  TimelineLink,
  UserText,
} from './parts.tsx';
import { Stores } from './stores.tsx';

export const OverviewPage = (data: OverviewData) => {
  const { overview, now } = data;
  return (
    <>
      <Headline {...data} />
      <Figures {...data} />
      <div id="needs" data-live="">
        {data.attention.length > 0 ? <AttentionItems items={data.attention} /> : null}
      </div>
      <Charts history={data.history} />
      <Stores stores={overview.stores} now={now} />
      <div class="columns">
        <div class="stack">
          <AtRisk orders={data.atRisk} total={data.counts.risk} now={now} />
          <Failures errors={overview.orderErrors} unmapped={data.unmapped} now={now} />
          <Delivery delivery={overview.delivery} />
        </div>
        <div class="stack">
          <Queues {...overview} />
          <Limits trackers={overview.tracking.trackers} limits={data.limits} now={now} />
        </div>
      </div>
      <Couriers trackers={overview.tracking.trackers} now={now} />
      <Parcels tracking={overview.tracking} now={now} />
    </>
  );
};

const AtRisk = ({ orders, total, now }: { orders: readonly OrderAtRisk[]; total: number; now: number }) => (
  <Panel
    id="risk"
    title="AWBs at risk"
    aside={
      total > orders.length ? (
        <a href="/orders?show=risk">See all {count(total)}</a>
      ) : (
        'due to ship within two hours, no AWB on Temu'
      )
    }
  >
    {orders.length === 0 ? (
      <p class="none">No order is at risk.</p>
    ) : (
      <Table label="AWBs at risk" head={<HeaderCells of={['Ship by', 'Order', 'Store', 'AWB', 'Why']} />}>
        {orders.map((one) => (
          <tr>
            <td class="keep">
              <Countdown until={one.shipBy} now={now} />
            </td>
            <td class="keep">
              <TimelineLink number={one.order} />
            </td>
            <td class="name">
              <UserText>{one.store ?? '–'}</UserText>
            </td>
            <td class="id keep">{one.awbNumber ?? <span class="zero">none yet</span>}</td>
            <td class="wide">
              {one.error ? (
                <UserText>{one.error}</UserText>
              ) : one.push ? (
                `queued for Temu (${one.push})`
              ) : (
                'no AWB created yet'
              )}
            </td>
          </tr>
        ))}
      </Table>
    )}
  </Panel>
);

const Queues = ({ queues, silent }: Pick<Overview, 'queues' | 'silent'>) => (
  <Panel id="queues" title="Queues" aside={<a href="/queues">Open Bull Board</a>}>
    <Table
      label="Queues"
      head={<HeaderCells of={['Queue', '#Waiting', '#Active', '#Delayed', '#Failed', '#Workers']} />}
    >
      {queues.map((one) => (
        <tr>
          <th scope="row" class="keep">
            <a href={`/queues/queue/${one.queue}`}>{one.queue}</a>
            {one.paused ? <b class="bad"> paused</b> : null}
          </th>
          <Cell of={one.waiting} />
          <Cell of={one.active} />
          <Cell of={one.delayed} />
          <Cell of={one.failed} tone="bad" />
          {one.workers === 0 && one.waiting + one.delayed + one.active > 0 ? (
            <td class="num bad">
              <b>0</b>
            </td>
          ) : (
            <Cell of={one.workers} />
          )}
        </tr>
      ))}
      {silent.map((one) => (
        <tr>
          <th scope="row" class="keep">
            <a href={`/queues/queue/${one.queue}`}>{one.queue}</a>
          </th>
          <td class="bad" colspan={5}>
            not responding
          </td>
        </tr>
      ))}
    </Table>
  </Panel>
);

const Failures = ({
  errors,
  unmapped,
  now,
}: {
  errors: Overview['orderErrors'];
  unmapped: readonly UnmappedStatus[];
  now: number;
}) => (
  <Panel id="failures" title="Open order errors" aside="most frequent first">
    {errors.length === 0 ? (
      <p class="none">None.</p>
    ) : (
      <Table label="Open order errors" head={<HeaderCells of={['#Orders', 'Error']} />}>
        {errors.map(({ orders, type, message }) => (
          <tr>
            <Cell of={orders} />
            <td class="wide">
              <a href={errorsHref(message)}>
                <UserText>{message}</UserText>
              </a>{' '}
              <span class="muted">{type}</span>
            </td>
          </tr>
        ))}
      </Table>
    )}
    {unmapped.length > 0 ? (
      <>
        <header id="words">
          <h3>Unmapped courier statuses</h3>
        </header>
        <Table
          label="Unmapped courier statuses"
          head={<HeaderCells of={['Status', 'Courier', '#Parcels', 'First seen']} />}
        >
          {unmapped.slice(0, 10).map((one) => (
            <tr>
              <td class="name">
                <UserText>{one.word}</UserText>
              </td>
              <td class="keep">{one.tracker}</td>
              <Cell of={one.showing} />
              <td class="keep">
                <RelativeTime at={one.firstSeenAt} now={now} />
              </td>
            </tr>
          ))}
        </Table>
      </>
    ) : null}
  </Panel>
);

const Delivery = ({ delivery: { sent, waiting, failed, nowhere } }: { delivery: DeliveryOverview }) => (
  <Panel id="delivery" title="Notifications, last 24 hours" aside="Slack, email, webhooks">
    <p>
      {count(sent)} sent · {count(waiting)} waiting ·{' '}
      <span class={failed > 0 ? 'bad' : ''}>{count(failed)} failed</span>
    </p>
    {Object.entries(nowhere).map(([why, number]) => (
      <p class="warn wrap">
        {count(number)} not sent: {why}
      </p>
    ))}
  </Panel>
);
