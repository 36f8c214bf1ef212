import { type Child, createContext, type PropsWithChildren, useContext } from 'hono/jsx';
import { relative, utc } from '../../lib/format-time.ts';
import type { ActionName } from '../routes/actions.ts';

/** "3 min ago", with the absolute time in UTC on hover. */
export const RelativeTime = ({ at, now }: { at: Date | null; now: number }) =>
  at ? (
    <time datetime={at.toISOString()} title={utc(at)}>
      {relative(at, now)}
    </time>
  ) : (
    <span class="zero">never</span>
  );

/** Time to a deadline: "88 min left", "5 min late". */
export const Countdown = ({ until, now }: { until: Date; now: number }) => {
  const minutes = Math.round((until.getTime() - now) / 60_000);
  const size = Math.abs(minutes);
  const text = size < 180 ? `${size} min` : `${Math.round(size / 60)} h`;
  return (
    <time class={minutes < 0 ? 'bad' : 'warn'} datetime={until.toISOString()} title={utc(until)}>
      {text} {minutes < 0 ? 'late' : 'left'}
    </time>
  );
};

export { utc };

/** An absolute time, for lists of events. */
export const At = ({ at }: { at: Date }) => <time datetime={at.toISOString()}>{utc(at).slice(0, -4)}</time>;

export const count = (number: number): string => number.toLocaleString('en');

/** A number in a table cell: zeros are dimmed, unwanted numbers coloured. */
export const Cell = ({ of, tone }: { of: number; tone?: 'warn' | 'bad' }) => (
  <td class={`num ${of === 0 ? 'zero' : (tone ?? '')}`}>{count(of)}</td>
);

export const Tag = ({ tone = '', children }: PropsWithChildren<{ tone?: 'ok' | 'warn' | 'bad' | '' }>) => (
  <span class={`tag ${tone}`}>{children}</span>
);

/** Text from outside, of any direction, length and script, isolated from ours. */
export const UserText = ({ children }: { children: Child }) => <bdi class="wrap">{children}</bdi>;

/** Links to the page of an order, an AWB or an LR number. */
export const TimelineLink = ({ number }: { number: string }) => (
  <a class="id wrap" href={`/orders/${encodeURIComponent(number)}`}>
    {number}
  </a>
);

/** A titled section. charts.js keeps it up to date unless `still`. */
export const Panel = (
  props: PropsWithChildren<{ id: string; title: string; aside?: Child; still?: boolean }>,
) => (
  <section
    class="panel"
    id={props.id}
    aria-labelledby={`${props.id}-title`}
    data-live={props.still ? undefined : ''}
  >
    <header>
      <h2 id={`${props.id}-title`}>{props.title}</h2>
      {props.aside ? <span class="aside">{props.aside}</span> : null}
    </header>
    {props.children}
  </section>
);

/** A table that scrolls horizontally when too wide, also by keyboard. */
export const Table = ({ label, head, children }: PropsWithChildren<{ label: string; head: Child }>) => (
  <section class="scroll" aria-label={label} tabindex={0}>
    <table>
      <thead>
        <tr>{head}</tr>
      </thead>
      <tbody>{children}</tbody>
    </table>
  </section>
);

/** Column headings; a leading # marks a column of numbers. */
export const HeaderCells = ({ of }: { of: readonly string[] }) => (
  <>
    {of.map((name) => (
      <th scope="col" class={name.startsWith('#') ? 'num' : ''}>
        {name.replace(/^#/, '')}
      </th>
    ))}
  </>
);

/** Parts of a whole as one stacked bar with its numbers; `kinds` are the CSS classes of the parts. */
export const Bar = ({ parts, kinds }: { parts: readonly number[]; kinds: readonly string[] }) => {
  const total = Math.max(
    1,
    parts.reduce((sum, part) => sum + part, 0),
  );
  const before = parts.map((_, nth) => parts.slice(0, nth).reduce((sum, part) => sum + part, 0));
  return (
    <svg class="bar" viewBox="0 0 100 8" preserveAspectRatio="none" aria-hidden="true">
      {parts.map((part, nth) =>
        part > 0 ? (
          <rect
            class={kinds[nth]}
            x={((before[nth] ?? 0) / total) * 100}
            y="0"
            width={(part / total) * 100}
            height="8"
          />
        ) : null,
      )}
    </svg>
  );
};

/** in_transit → in transit. */
export const spaced = (word: string): string => word.replaceAll('_', ' ');

/** The page to return to after an action; undefined for read-only users, who see no buttons. */
export const ReturnPath = createContext<string | undefined>(undefined);

/** A form around buttons. */
export const Buttons = ({ children }: PropsWithChildren) => {
  const back = useContext(ReturnPath);
  if (back === undefined) return <>{children}</>;
  return (
    <form class="buttons" method="post" action="/actions">
      <input type="hidden" name="back" value={back} />
      {children}
    </form>
  );
};

/** A button inside `Buttons`; `label`: the full accessible name of a short text. */
export const Button = (props: PropsWithChildren<{ does: ActionName; of: string; label?: string }>) =>
  useContext(ReturnPath) === undefined ? null : (
    <button class="small" type="submit" name={props.does} value={props.of} aria-label={props.label}>
      {props.children}
    </button>
  );
