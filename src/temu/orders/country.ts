import countries from 'i18n-iso-countries';

/** Names that Temu uses and the ISO list does not know under that form (its region table: region-ids.json). */
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

/** Temu names countries in English; local names have been seen too, so every language of the list is asked. */
const languages = () => ['en', ...countries.getSupportedLanguages().filter((language) => language !== 'en')];

/** Names that these lists give to several countries, "Congo" above all: which one is meant nobody may guess. */
function sharedNames(lists: readonly string[]): ReadonlySet<string> {
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
/** Found when first needed: English in a millisecond, all of them in a tenth of a second, which few processes need. */
let inEnglish: ReadonlySet<string> | undefined;
let inAny: ReadonlySet<string> | undefined;

const found = new Map<string, string | null>();
/** The longest in any language has some sixty characters; the library takes a second for a name of a hundred thousand. */
const LONGEST_NAME = 200;

/** ISO 3166-1 alpha-2 code of a country's name, or null when no list knows it, or several countries bear it (T9). */
export function countryCode(name: string): string | null {
  if (name.length > LONGEST_NAME) return null;
  const key = name.trim().toLowerCase();
  let code = found.get(key);
  if (code === undefined) {
    code = TEMU_NAMES.get(key) ?? codeByLists(key) ?? null;
    if (found.size < 2_000) found.set(key, code); // names come from outside: bounded
  }
  return code;
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
