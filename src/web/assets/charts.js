// Draws the overview's charts from /data.json and keeps its sections up to date. Without JavaScript the page shows the
// same numbers as tables.
(() => {
  const { uPlot } = window;
  const REFRESH_MS = 15_000;
  const HEIGHT = 150; // px, as .plot in style.css
  const FONT = '11px system-ui, sans-serif';
  const FONT_OF_LABELS = '10px system-ui, sans-serif'; // seven side by side on a phone
  const drawn = new Map(); // id of a chart → { plot, box }

  // --- number formats ---

  const compact = new Intl.NumberFormat('en', { notation: 'compact', maximumFractionDigits: 1 });
  const trim = (number) => String(Math.round(number * 10) / 10);
  function duration(seconds) {
    const size = Math.abs(seconds);
    if (size < 90) return `${trim(seconds)} s`;
    if (size < 5400) return `${trim(seconds / 60)} min`;
    return size < 172_800 ? `${trim(seconds / 3600)} h` : `${trim(seconds / 86_400)} d`;
  }
  const FORMATS = {
    count: (value) => compact.format(value),
    share: (value) => `${trim(value * 100)} %`,
    seconds: duration,
    minutes: (value) => duration(value * 60),
  };

  /** Round axis steps. */
  const STEPS = [
    1, 2, 5, 10, 20, 30, 60, 120, 300, 600, 1800, 3600, 7200, 14_400, 21_600, 43_200, 86_400, 172_800,
  ];
  const INCREMENTS = {
    count: [1, 2, 5]
      .flatMap((digit) => [0, 1, 2, 3, 4, 5, 6].map((power) => digit * 10 ** power))
      .sort((a, b) => a - b),
    share: [0.25, 0.5, 1],
    seconds: STEPS,
    minutes: STEPS.slice(0, 10).concat([1440, 2880, 7200, 14_400]),
  };

  // --- one chart ---

  const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();

  const MONTHS = ['Jan', 'Feb', 'Mar', 'Apr', 'May', 'Jun', 'Jul', 'Aug', 'Sep', 'Oct', 'Nov', 'Dec'];
  /** "14:05", and the day where one begins; in UTC, as everywhere on these pages. */
  function clock(seconds) {
    const time = new Date(seconds * 1000);
    const text = time.toISOString().slice(11, 16);
    return text === '00:00' ? `${time.getUTCDate()} ${MONTHS[time.getUTCMonth()]}` : text;
  }

  function axes(chart) {
    const grid = { stroke: colour('--line'), width: 1 };
    const common = { stroke: colour('--muted'), font: FONT, grid, ticks: { show: false } };
    const format = FORMATS[chart.unit];
    const places = chart.labels?.map((_, place) => place);
    const x = places
      ? { splits: () => places, values: () => chart.labels, font: FONT_OF_LABELS }
      : { values: (_, times) => times.map(clock), space: 60 };
    return [
      { ...common, grid: { show: false }, size: 22, gap: 4, ...x },
      {
        ...common,
        size: 46,
        gap: 4,
        incrs: INCREMENTS[chart.unit],
        values: (_, values) => values.map(format),
      },
    ];
  }

  const series = (chart) =>
    chart.series.map(({ label }, nth) => ({
      label,
      stroke: colour(`--c${nth}`),
      width: 1.5,
      points: chart.kind === 'bars' ? { show: false } : { size: 3 }, // where there are few of them
      spanGaps: false,
      ...(chart.kind === 'bars'
        ? {
            fill: colour(`--c${nth}`),
            width: 0,
            paths: uPlot.paths.bars({ size: [0.75, 60], radius: 0.1, align: chart.labels ? 0 : 1 }),
          }
        : {}),
    }));

  /** From 0, and never flat; a share up to 100 % at least. */
  const range = (chart) => (_, min, max) => [
    Math.min(0, min),
    chart.unit === 'share' ? Math.max(1, max) : max > 0 ? max * 1.1 : 1,
  ];

  /** All labels, or the whole time asked for, whether there is data of all of it or not. */
  const span = ({ labels, x, step }) => (labels ? [-0.5, labels.length - 0.5] : [x[0], x.at(-1) + step]);

  /** What the lines are at the cursor, or were last; one that has no name is told beside the title. */
  function legend(figure, chart, plot) {
    const at = plot?.cursor.idx;
    const format = FORMATS[chart.unit];
    const told = chart.series.map(({ label, values }, nth) => {
      // the last bar says nothing about the others
      const last = chart.kind === 'lines' ? values.findLast((one) => one !== null) : null;
      const value = at == null ? last : values[at];
      const late = chart.unit === 'minutes' && value < 0;
      return { label, nth, text: value == null ? '' : late ? `${format(-value)} late` : format(value) };
    });
    const when = at == null ? '' : ` · ${chart.labels?.[at] ?? clock(chart.x[at])}`;
    const alone = told.length === 1 && told[0].label === '' ? told[0].text : undefined;
    figure.querySelector('.value').textContent = (alone ?? '') + when;
    const items = told.map(({ label, nth, text }) => {
      const item = document.createElement('li');
      const strong = document.createElement('b');
      item.className = `k${nth}`;
      strong.textContent = text;
      item.append(`${label} `, strong);
      return item;
    });
    if (chart.more > 0) {
      const more = document.createElement('li');
      more.textContent = `and ${chart.more} lower`;
      items.push(more);
    }
    figure.querySelector('.legend').replaceChildren(...(alone === undefined ? items : []));
  }

  function draw(chart) {
    const figure = document.getElementById(`chart-${chart.id}`);
    const box = figure?.querySelector('.plot');
    if (!box) return;
    const before = drawn.get(chart.id);
    const shape = JSON.stringify([
      chart.kind,
      chart.unit,
      chart.labels,
      chart.series.map(({ label }) => label),
    ]);
    const data = [
      chart.labels ? chart.labels.map((_, place) => place) : chart.x,
      ...chart.series.map((one) => one.values),
    ];
    if (before?.shape === shape) {
      before.chart = chart;
      before.plot.setData(data);
      return legend(figure, chart, before.plot);
    }
    before?.plot.destroy();
    drawn.delete(chart.id);
    if (!chart.series.some(({ values }) => values.some((value) => value !== null))) {
      const none = document.createElement('p');
      none.textContent = 'no data yet';
      box.replaceChildren(none);
      return legend(figure, { ...chart, series: [] });
    }
    box.replaceChildren();
    const one = { shape, chart, box };
    one.plot = new uPlot(
      {
        width: box.clientWidth,
        height: HEIGHT,
        legend: { show: false },
        cursor: { y: false, points: { show: chart.kind === 'lines' } },
        padding: [8, 14, 0, 0],
        scales: {
          x: { time: !chart.labels, range: () => span(one.chart) },
          y: { range: range(chart) },
        },
        // UTC as on all pages: readers are in several countries
        tzDate: (seconds) => uPlot.tzDate(new Date(seconds * 1000), 'Etc/UTC'),
        axes: axes(chart),
        series: [{}, ...series(chart)],
        hooks: { setCursor: [(plot) => legend(figure, one.chart, plot)] },
      },
      data,
      box,
    );
    drawn.set(chart.id, one);
    legend(figure, chart, one.plot);
  }

  let latest = [];
  async function refreshCharts() {
    const hours = document.getElementById('charts')?.dataset.hours;
    if (!hours) return;
    const answer = await fetch(`/data.json?hours=${hours}`, { headers: { accept: 'application/json' } });
    if (!answer.ok) throw new Error(`HTTP ${answer.status}`);
    latest = (await answer.json()).charts;
    latest.forEach(draw);
  }
  function redraw() {
    for (const { plot } of drawn.values()) plot.destroy();
    drawn.clear();
    latest.forEach(draw);
  }

  // --- the sections ---

  const FOCUSABLE = 'a, button, summary, input, select';

  /** The new content in the place of the old, without moving what the reader looks at or has opened. */
  function swap(now, fresh) {
    const selection = getSelection();
    if (selection && !selection.isCollapsed && now.contains(selection.anchorNode)) return;
    const focused = [...now.querySelectorAll(FOCUSABLE)].indexOf(document.activeElement);
    const open = [...now.querySelectorAll('details[open]')].map(({ id }) => id);
    const scrolled = [...now.querySelectorAll('.scroll')].map(({ scrollLeft, scrollTop }) => [
      scrollLeft,
      scrollTop,
    ]);
    for (const id of open) fresh.querySelector(`#${CSS.escape(id)}`)?.setAttribute('open', '');
    now.replaceChildren(...fresh.childNodes);
    now.className = fresh.className;
    now.querySelectorAll('.scroll').forEach((box, nth) => {
      const [left = 0, top = 0] = scrolled[nth] ?? [];
      box.scrollTo(left, top);
    });
    if (focused >= 0) now.querySelectorAll(FOCUSABLE)[focused]?.focus({ preventScroll: true });
  }

  async function refreshSections() {
    const answer = await fetch(location.href, { headers: { accept: 'text/html' } });
    if (answer.redirected) return location.reload(); // to the login: the session has ended
    if (!answer.ok) throw new Error(`HTTP ${answer.status}`);
    const page = new DOMParser().parseFromString(await answer.text(), 'text/html');
    for (const now of document.querySelectorAll('[data-live]')) {
      const fresh = page.getElementById(now.id);
      if (fresh) swap(now, fresh);
    }
    document.title = page.title;
  }

  let since = Date.now();
  async function refresh() {
    if (document.hidden) return;
    try {
      await Promise.all([refreshSections(), refreshCharts()]);
      since = Date.now();
    } catch {
      const fresh = document.querySelector('.fresh');
      fresh?.classList.add('stale');
      if (fresh)
        fresh.textContent = `No answer for ${duration(Math.round((Date.now() - since) / 1000))}; trying again`;
    }
  }

  refreshCharts().catch(() => {});
  setInterval(refresh, REFRESH_MS);
  document.addEventListener('visibilitychange', refresh);
  matchMedia('(prefers-color-scheme: dark)').addEventListener('change', redraw);
  new ResizeObserver(() => {
    for (const { plot, box } of drawn.values())
      if (plot.width !== box.clientWidth) plot.setSize({ width: box.clientWidth, height: HEIGHT });
  }).observe(document.querySelector('main'));
})();
