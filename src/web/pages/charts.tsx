import { duration } from '../../lib/format-time.ts';
import { type Chart, type ChartHistory, WINDOWS } from '../../ops/charts.ts';
import { count, HeaderCells, Table, utc } from './parts.tsx';

/** Rows of a chart's table. */
const ROWS = 12;

/** The charts, drawn by charts.js, each with its numbers as a table below. */
export const Charts = ({ history: { charts, hours } }: { history: ChartHistory }) => (
  <section id="charts" aria-labelledby="charts-title" data-hours={hours}>
    <div class="section-head">
      <h2 id="charts-title">Over time</h2>
      <nav class="windows" aria-label="Time range">
        {WINDOWS.map((window) => (
          <a href={`/?hours=${window}`} aria-current={window === hours ? 'true' : undefined}>
            {windowText(window)}
          </a>
        ))}
      </nav>
    </div>
    <div class="charts">
      {charts.map((chart) => (
        <figure class="panel chart" id={`chart-${chart.id}`}>
          <figcaption>
            <h3>{chart.title}</h3>
            <span class="value" aria-hidden="true" />
          </figcaption>
          <div class="plot" aria-hidden="true" />
          <ul class="legend" aria-hidden="true" />
          <div id={`numbers-${chart.id}`} data-live="">
            <details id={`table-${chart.id}`}>
              <summary>Numbers</summary>
              <Numbers {...chart} />
            </details>
          </div>
        </figure>
      ))}
    </div>
  </section>
);

const windowText = (hours: number): string => (hours < 48 ? `${hours} h` : `${hours / 24} days`);

const FORMATS: Record<Chart['unit'], (value: number) => string> = {
  count: (value) => count(Math.round(value)),
  share: (value) => `${Math.round(value * 100)} %`,
  seconds: (value) => duration(value * 1000),
  minutes: (value) => (value < 0 ? `${duration(-value * 60_000)} late` : duration(value * 60_000)),
};

const Numbers = ({ title, labels, x = [], series, unit }: Chart) => {
  if (!series.some(({ values }) => values.some((value) => value !== null)))
    return <p class="none">no data yet</p>;
  const places = (labels ?? x).map((_, place) => place);
  // newest first, thinned out
  const every = Math.ceil(places.length / ROWS);
  const shown = labels ? places : places.toReversed().filter((_, nth) => nth % every === 0);
  return (
    <Table
      label={title}
      head={
        <HeaderCells
          of={[labels ? 'Time left' : 'From (UTC)', ...series.map(({ label }) => `#${label || 'all'}`)]}
        />
      }
    >
      {shown.map((place) => (
        <tr>
          <td class="keep">{labels?.[place] ?? utc(new Date((x[place] ?? 0) * 1000)).slice(5, 16)}</td>
          {series.map(({ values }) => {
            const value = values[place];
            return <td class="num">{value == null ? '–' : FORMATS[unit](value)}</td>;
          })}
        </tr>
      ))}
    </Table>
  );
};
