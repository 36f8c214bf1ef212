import { alike } from '../../lib/alike.ts';

/** One of Temu's providers, as bg.logistics.companies.get lists them. */
export interface Company {
  id: string;
  name: string;
  brand: string | null;
}

/**
 * A carrier's name without differences in spelling: "FAN Courier", "fan-courier" → FANCOURIER (A4). Letters of every
 * script count: "Спиди" is not "Еконт".
 */
export const normalCarrier = (name: string): string =>
  name
    .normalize('NFKD')
    .toUpperCase()
    .replace(/[^\p{L}\p{N}]/gu, '');

interface Index {
  byName: Map<string, Company[]>;
  byBrand: Map<string, Company[]>;
}

/** Temu lists some hundreds: a list is normalised once, not for each push (P6). */
const indexes = new WeakMap<readonly Company[], Index>();
function indexOf(companies: readonly Company[]): Index {
  const known = indexes.get(companies);
  if (known) return known;
  const by = (of: (company: Company) => string | null) =>
    new Map(alike(companies, (one) => normalCarrier(of(one) ?? '')).filter(([name]) => name !== ''));
  const index = { byName: by(({ name }) => name), byBrand: by(({ brand }) => brand) };
  indexes.set(companies, index);
  return index;
}

export type CarrierMatch =
  | { ok: true; id: string }
  /** `carrier`: the normalised name to pin. */
  | { ok: false; carrier: string; error: string; candidates: Company[] };

/**
 * A4: the provider id of a carrier: the pinned one, else the only company of that name. None or several: the
 * candidates to choose from. Names are never guessed: GLS is not GLS(IT), and a wrong id is a wrong parcel.
 */
export function matchCarrier(
  carrier: string,
  companies: readonly Company[],
  pinned: string | undefined,
): CarrierMatch {
  if (pinned) return { ok: true, id: pinned };
  const wanted = normalCarrier(carrier);
  const { byName, byBrand } = indexOf(companies);
  const same = byName.get(wanted) ?? byBrand.get(wanted) ?? [];
  const ids = new Set(same.map(({ id }) => id));
  const [only] = ids;
  if (ids.size === 1 && only) return { ok: true, id: only };

  const akin = companies.filter(({ name, brand }) =>
    [name, brand ?? '']
      .map(normalCarrier)
      .some((one) => one !== '' && (one.includes(wanted) || wanted.includes(one))),
  );
  const candidates = same.length > 0 ? same : akin.length > 0 ? akin : [...companies];
  const listed = candidates
    .slice(0, 12)
    .map(({ id, name }) => `${name} (${id})`)
    .join(', ');
  const more = candidates.length > 12 ? ` and ${candidates.length - 12} more` : '';
  const problem =
    ids.size > 1
      ? `several of Temu's carriers are named ${wanted}`
      : `none of Temu's carriers is named ${wanted}`;
  return {
    ok: false,
    carrier: wanted,
    candidates,
    error: `${problem}; choose one: orderfleet carriers pin ${wanted} ID --store NAME. Candidates: ${listed || 'none, Temu lists no carriers'}${more}`,
  };
}
