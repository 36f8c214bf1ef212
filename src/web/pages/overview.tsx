import type { DeliveryOverview } from '../../alerts/index.ts';
import type { Overview } from '../../overview.ts';
import type { OrderAtRisk } from '../../temu/awb/index.ts';
import type { StrangeWord } from '../../tracking/index.ts';
import { Charts } from './charts.tsx';
import { Couriers, Limits, Parcels } from './couriers.tsx';
import { Figures, Headline, Matters } from './headline.tsx';
import { errorsHref } from './orders.tsx';
import type { OverviewData } from './overview-data.ts';
import { Ago, Cell, count, Heads, Left, Panel, Said, StoryLink, Table } from './parts.tsx';
import { Stores } from './stores.tsx';

export const OverviewPage = (data: OverviewData) => {
  const { overview, now } = data;
  return (
    <>
      <Headline {...data} />
      <Figures {...data} />
      <div id="needs" data-live="">
        {data.matters.length > 0 ? <Matters matters={data.matters} /> : null}
      </div>
      <Charts history={data.history} />
      <Stores stores={overview.stores} now={now} />
      <div class="columns">
        <div class="stack">
          <AtRisk orders={data.atRisk} total={data.troubles.risk} now={now} />
          <Failures errors={overview.orderErrors} words={data.words} now={now} />
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
        <a href="/orders?show=risk">all {count(total)}</a>
      ) : (
        'ship-by within two hours, Temu has no number'
      )
    }
  >
    {orders.length === 0 ? (
      <p class="none">No order is at risk.</p>
    ) : (
      <Table label="AWBs at risk" head={<Heads of={['Ship by', 'Order', 'Store', 'AWB', 'Why']} />}>
        {orders.map((one) => (
          <tr>
            <td class="keep">
              <Left until={one.shipBy} now={now} />
            </td>
            <td class="keep">
              <StoryLink number={one.order} />
            </td>
            <td class="name">
              <Said>{one.store ?? '–'}</Said>
            </td>
            <td class="id keep">{one.awbNumber ?? <span class="zero">none yet</span>}</td>
            <td class="wide">
              {one.error ? (
                <Said>{one.error}</Said>
              ) : one.push ? (
                `to be told: ${one.push}`
              ) : (
                'no AWB has been created'
              )}
            </td>
          </tr>
        ))}
      </Table>
    )}
  </Panel>
);

const Queues = ({ queues, silent }: Pick<Overview, 'queues' | 'silent'>) => (
  <Panel id="queues" title="Queues" aside={<a href="/queues">open Bull Board</a>}>
    <Table
      label="Queues"
      head={<Heads of={['Queue', '#Waiting', '#In work', '#Later', '#Failed', '#Workers']} />}
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
            no answer
          </td>
        </tr>
      ))}
    </Table>
  </Panel>
);

const Failures = ({
  errors,
  words,
  now,
}: {
  errors: Overview['orderErrors'];
  words: readonly StrangeWord[];
  now: number;
}) => (
  <Panel id="failures" title="Open errors of orders" aside="most frequent first">
    {errors.length === 0 ? (
      <p class="none">None.</p>
    ) : (
      <Table label="Open errors of orders" head={<Heads of={['#Orders', 'What Temu or the data says']} />}>
        {errors.map(({ orders, type, message }) => (
          <tr>
            <Cell of={orders} />
            <td class="wide">
              <a href={errorsHref(message)}>
                <Said>{message}</Said>
              </a>{' '}
              <span class="muted">{type}</span>
            </td>
          </tr>
        ))}
      </Table>
    )}
    {words.length > 0 ? (
      <>
        <header id="words">
          <h3>Words of couriers without a meaning</h3>
        </header>
        <Table
          label="Words without a meaning"
          head={<Heads of={['Word', 'Courier', '#Parcels', 'First seen']} />}
        >
          {words.slice(0, 10).map((one) => (
            <tr>
              <td class="name">
                <Said>{one.word}</Said>
              </td>
              <td class="keep">{one.tracker}</td>
              <Cell of={one.showing} />
              <td class="keep">
                <Ago at={one.firstSeenAt} now={now} />
              </td>
            </tr>
          ))}
        </Table>
      </>
    ) : null}
  </Panel>
);

const Delivery = ({ delivery: { sent, waiting, failed, nowhere } }: { delivery: DeliveryOverview }) => (
  <Panel id="delivery" title="Messages of the last day" aside="Slack, mail, webhooks">
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
