import { createRequire } from 'node:module';
import countries from 'i18n-iso-countries/index.js';
import { LRUCache } from 'lru-cache';

/** Names that Temu uses and the ISO list does not have in that form (its region table: region-ids.json). */
const TEMU_NAMES = new Map(
  Object.entries({
    'east timor': 'TL',
    macau: 'MO',
    macedonia: 'MK',
    micronesia: 'FM',
    moldova: 'MD',
    'slovakia (slovak republic)': 'SK',
    swaziland: 'SZ',
    'taiwan, china': 'TW',
    'vatican city state (holy see)': 'VA',
    'virgin islands (british)': 'VG',
    'virgin islands (u.s.)': 'VI',
    'wallis and futuna islands': 'WF',
  }),
);

/** Temu names countries in English; local names have been seen too, so every language of the list is tried. */
const languages = () => ['en', ...countries.getSupportedLanguages().filter((language) => language !== 'en')];

const require = createRequire(import.meta.url);

/** Names that these lists give to several countries, "Congo" above all: which one is meant cannot be known. */
function sharedNames(lists: readonly string[]): ReadonlySet<string> {
  for (const language of lists)
    countries.registerLocale(require(`i18n-iso-countries/langs/${language}.json`));
  const codes = new Map<string, string>();
  const shared = new Set<string>();
  for (const language of lists)
    for (const [code, names] of Object.entries(countries.getNames(language, { select: 'all' })))
      for (const name of names.map((one) => one.toLowerCase())) {
        if ((codes.get(name) ?? code) !== code) shared.add(name);
        codes.set(name, code);
      }
  return shared;
}
/** Loaded on first use: English takes a millisecond, all languages a tenth of a second, which few processes need. */
let inEnglish: ReadonlySet<string> | undefined;
let inAny: ReadonlySet<string> | undefined;

/** Names come from outside: bounded. '' stands for a name in no list, since the cache keeps no undefined. */
const found = new LRUCache<string, string>({
  max: 2_000,
  memoMethod: (name) => TEMU_NAMES.get(name) ?? codeByLists(name) ?? '',
});
/** The longest in any language has some sixty characters; the library takes a second for one of a hundred thousand. */
const LONGEST_NAME = 200;

/** ISO 3166-1 alpha-2 code of a country's name, or null when no list has it, or several countries share it (T9). */
export function countryCode(name: string): string | null {
  if (name.length > LONGEST_NAME) return null;
  return found.memo(name.trim().toLowerCase()) || null;
}

function codeByLists(name: string): string | undefined {
  inEnglish ??= sharedNames(['en']);
  if (inEnglish.has(name)) return undefined;
  const english = countries.getSimpleAlpha2Code(name, 'en');
  if (english !== undefined) return english;
  inAny ??= sharedNames(languages());
  if (inAny.has(name)) return undefined;
  for (const language of languages()) {
    const code = countries.getSimpleAlpha2Code(name, language);
    if (code !== undefined) return code;
  }
  return undefined;
}
