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

const found = new Map<string, string | null>();

/** ISO 3166-1 alpha-2 code of a country's name, or null when no list knows it (T9). */
export function countryCode(name: string): string | null {
  const key = name.trim().toLowerCase();
  let code = found.get(key);
  if (code === undefined) {
    code =
      TEMU_NAMES.get(key) ??
      languages()
        .map((language) => countries.getSimpleAlpha2Code(name.trim(), language))
        .find((one) => one !== undefined) ??
      null;
    if (found.size < 2_000) found.set(key, code); // names come from outside: bounded
  }
  return code;
}
