/** A strict reader of Prometheus' text format (version 0.0.4): https://prometheus.io/docs/instrumenting/exposition_formats/ */

interface Sample {
  name: string;
  labels: Record<string, string>;
  value: number;
}

const NAME = /^[a-zA-Z_:][a-zA-Z0-9_:]*/;
const VALUE = /^ (\S+)$/;

/**
 * @returns every sample of the page
 * @throws Error naming the first line that Prometheus would refuse or read in two ways: a sample without a TYPE before it,
 * lines of a metric that stand apart, a repeated HELP, TYPE or series, a label that is not escaped, no number
 */
export function readExposition(text: string): Sample[] {
  if (!text.endsWith('\n')) throw new Error('the last line has no end');
  const samples: Sample[] = [];
  const types = new Map<string, string>();
  const said = new Set<string>();
  let family = '';
  for (const [index, line] of text.split('\n').entries()) {
    const refuse = (why: string): never => {
      throw new Error(`line ${index + 1} ${why}: ${line}`);
    };
    if (line === '') continue;
    const comment = /^# (HELP|TYPE) (\S+) (.+)$/.exec(line);
    if (comment) {
      const [, what, name = '', rest = ''] = comment;
      if (said.has(`${what} ${name}`)) refuse(`repeats ${what}`);
      said.add(`${what} ${name}`);
      if (what === 'TYPE') {
        if (!/^(counter|gauge|histogram|summary|untyped)$/.test(rest)) refuse('has no type');
        types.set(name, rest);
      }
      family = name;
      continue;
    }
    if (line.startsWith('#')) continue;
    const { name, labels, rest } = readSeries(line, refuse);
    const base = types.get(name) ? name : name.replace(/_(bucket|sum|count)$/, '');
    if (base !== name && types.get(base) !== 'histogram' && types.get(base) !== 'summary')
      refuse('has no TYPE before it');
    if (!types.has(base)) refuse('has no TYPE before it');
    if (base !== family) refuse('stands apart from its TYPE');
    const key = `${name} ${JSON.stringify(Object.entries(labels).sort())}`;
    if (said.has(key)) refuse('repeats a series');
    said.add(key);
    const number = VALUE.exec(rest)?.[1] ?? refuse('has no value, or more than one');
    const value =
      number === '+Inf' ? Number.POSITIVE_INFINITY : /^nan$/i.test(number) ? Number.NaN : Number(number);
    if (Number.isNaN(value) && !/^nan$/i.test(number)) refuse('has no number');
    samples.push({ name, labels, value });
  }
  return samples;
}

function readSeries(line: string, refuse: (why: string) => never) {
  const name = NAME.exec(line)?.[0] ?? refuse('has no name');
  let rest = line.slice(name.length);
  const labels: Record<string, string> = {};
  if (!rest.startsWith('{')) return { name, labels, rest };
  rest = rest.slice(1);
  while (!rest.startsWith('}')) {
    const label = /^\s*([a-zA-Z_][a-zA-Z0-9_]*)="((?:[^"\\\n]|\\[\\"n])*)"\s*(,|(?=\}))/.exec(rest);
    if (!label) refuse('has labels that cannot be read');
    const [whole = '', key = '', value = ''] = label as RegExpExecArray;
    if (key in labels) refuse('repeats a label');
    labels[key] = value.replace(/\\([\\"n])/g, (_, one) => (one === 'n' ? '\n' : one));
    rest = rest.slice(whole.length);
  }
  return { name, labels, rest: rest.slice(1) };
}

/** The one sample of that name and those labels; undefined: there is none. Throws when several fit. */
export function sampleOf(
  samples: readonly Sample[],
  name: string,
  labels: Record<string, string> = {},
): number | undefined {
  const fitting = samples.filter(
    (one) => one.name === name && Object.entries(labels).every(([key, value]) => one.labels[key] === value),
  );
  if (fitting.length > 1) throw new Error(`${fitting.length} samples are ${name} ${JSON.stringify(labels)}`);
  return fitting[0]?.value;
}
