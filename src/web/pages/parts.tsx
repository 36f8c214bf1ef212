import { type Child, createContext, type PropsWithChildren, useContext } from 'hono/jsx';
import { relative } from '../../durations.ts';
import type { ActionName } from '../actions.ts';

/** A time as "3 min ago", with the time itself, in UTC, for whoever wants it. */
export const Ago = ({ at, now }: { at: Date | null; now: number }) =>
  at ? (
    <time datetime={at.toISOString()} title={utc(at)}>
      {relative(at, now)}
    </time>
  ) : (
    <span class="zero">never</span>
  );

/** A deadline, in minutes while they count: "88 min left", "5 min late". */
export const Left = ({ until, now }: { until: Date; now: number }) => {
  const minutes = Math.round((until.getTime() - now) / 60_000);
  const size = Math.abs(minutes);
  const text = size < 180 ? `${size} min` : `${Math.round(size / 60)} h`;
  return (
    <time class={minutes < 0 ? 'bad' : 'warn'} datetime={until.toISOString()} title={utc(until)}>
      {text} {minutes < 0 ? 'late' : 'left'}
    </time>
  );
};

/** "2026-11-22 06:47:34 UTC". */
export const utc = (at: Date): string => `${at.toISOString().slice(0, 19).replace('T', ' ')} UTC`;

/** A time itself: of events, which are read one after the other. */
export const At = ({ at }: { at: Date }) => <time datetime={at.toISOString()}>{utc(at).slice(0, -4)}</time>;

export const count = (number: number): string => number.toLocaleString('en');

/** A number in a table's cell: nothing is quiet, and what should not be there has a colour. */
export const Cell = ({ of, tone }: { of: number; tone?: 'warn' | 'bad' }) => (
  <td class={`num ${of === 0 ? 'zero' : (tone ?? '')}`}>{count(of)}</td>
);

export const Tag = ({ tone = '', children }: PropsWithChildren<{ tone?: 'ok' | 'warn' | 'bad' | '' }>) => (
  <span class={`tag ${tone}`}>{children}</span>
);

/** Text from outside: of any direction, length and script, in the place of ours. */
export const Said = ({ children }: { children: Child }) => <bdi class="wrap">{children}</bdi>;

/** Leads to the story of an order, an AWB or an LR number. */
export const StoryLink = ({ number }: { number: string }) => (
  <a class="id wrap" href={`/orders/${encodeURIComponent(number)}`}>
    {number}
  </a>
);

/** A titled box of a page. What it shows is kept up to date by charts.js unless `still`. */
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

/** A table that scrolls inside its own box where it is too wide; the box can be scrolled by keys. */
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

/** Column heads by their names; those that begin with # are of numbers. */
export const Heads = ({ of }: { of: readonly string[] }) => (
  <>
    {of.map((name) => (
      <th scope="col" class={name.startsWith('#') ? 'num' : ''}>
        {name.replace(/^#/, '')}
      </th>
    ))}
  </>
);

/** Parts of a whole as one bar; `kinds` are the classes of the parts. Its numbers stand beside it. */
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

/** Words of the program as people write them: in_transit → in transit. */
export const spaced = (word: string): string => word.replaceAll('_', ' ');

/** The page that buttons lead back to; undefined for users who may only look: they see no buttons. */
export const Back = createContext<string | undefined>(undefined);

/** A form around buttons. */
export const Buttons = ({ children }: PropsWithChildren) => {
  const back = useContext(Back);
  if (back === undefined) return <>{children}</>;
  return (
    <form class="buttons" method="post" action="/actions">
      <input type="hidden" name="back" value={back} />
      {children}
    </form>
  );
};

/** A button inside `Buttons`; `label` says it whole where the text is short. */
export const Button = (props: PropsWithChildren<{ does: ActionName; of: string; label?: string }>) =>
  useContext(Back) === undefined ? null : (
    <button class="small" type="submit" name={props.does} value={props.of} aria-label={props.label}>
      {props.children}
    </button>
  );
