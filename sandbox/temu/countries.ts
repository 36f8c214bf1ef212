import type { ScriptName } from './scripts.ts';

/** Countries by Temu's own region names (region-ids.json), with names and addresses in their script. */
export interface Country {
  regionId: number;
  name: string;
  /** ISO-2; null for an unknown name (T9). */
  code: string | null;
  /** Temu site and its currency (sites.json); countries without a site of their own buy on the shop's site. */
  siteId: number;
  currency: string;
  script: ScriptName;
  /** [state or null, city, postal code] */
  cities: readonly (readonly [string | null, string, string])[];
  phone: string;
}

type Row = readonly [number, string, string, number, string, ScriptName, string, Country['cities']];

const EU_ROWS: readonly Row[] = [
  [
    167,
    'Romania',
    'RO',
    140,
    'RON',
    'romanian',
    '+40 7',
    [
      ['Cluj', 'Cluj-Napoca', '400001'],
      ['București', 'Sector 1', '010011'],
      ['Iași', 'Iași', '700010'],
    ],
  ],
  [
    76,
    'Germany',
    'DE',
    105,
    'EUR',
    'latin',
    '+49 15',
    [
      ['Bayern', 'München', '80331'],
      ['Sachsen', 'Görlitz', '02826'],
    ],
  ],
  [
    69,
    'France',
    'FR',
    106,
    'EUR',
    'latin',
    '+33 6',
    [
      ['Île-de-France', 'Paris', '75001'],
      ['Occitanie', 'Nîmes', '30000'],
    ],
  ],
  [
    98,
    'Italy',
    'IT',
    107,
    'EUR',
    'latin',
    '+39 3',
    [
      ['Lombardia', 'Milano', '20121'],
      ['Lazio', 'Roma', '00184'],
    ],
  ],
  [
    186,
    'Spain',
    'ES',
    109,
    'EUR',
    'latin',
    '+34 6',
    [
      ['Galicia', 'A Coruña', '15001'],
      ['Madrid', 'Madrid', '28013'],
    ],
  ],
  [
    79,
    'Greece',
    'GR',
    115,
    'EUR',
    'greek',
    '+30 69',
    [
      ['Αττική', 'Αθήνα', '105 63'],
      ['Κεντρική Μακεδονία', 'Θεσσαλονίκη', '546 24'],
    ],
  ],
  [
    32,
    'Bulgaria',
    'BG',
    141,
    'EUR',
    'cyrillic',
    '+359 8',
    [
      ['София-град', 'София', '1000'],
      [null, 'Пловдив', '4000'],
    ],
  ],
  [52, 'Cyprus', 'CY', 117, 'EUR', 'greek', '+357 9', [[null, 'Λευκωσία', '1010']]],
  [162, 'Poland', 'PL', 112, 'PLN', 'latin', '+48 5', [['Łódzkie', 'Łódź', '90-001']]],
  [53, 'Czech Republic', 'CZ', 137, 'CZK', 'latin', '+420 6', [['Praha', 'Praha 1', '110 00']]],
  [
    180,
    'Slovakia (Slovak Republic)',
    'SK',
    145,
    'EUR',
    'latin',
    '+421 9',
    [['Košický kraj', 'Košice', '040 01']],
  ],
  [90, 'Hungary', 'HU', 138, 'HUF', 'latin', '+36 3', [['Győr-Moson-Sopron', 'Győr', '9021']]],
  [210, 'United Kingdom', 'GB', 102, 'GBP', 'latin', '+44 7', [['England', 'London', 'NW1 6XE']]],
  [191, 'Sweden', 'SE', 113, 'SEK', 'latin', '+46 7', [['Skåne', 'Malmö', '211 20']]],
  [96, 'Ireland', 'IE', 116, 'EUR', 'latin', '+353 8', [['Leinster', 'Dublin', 'D02 AF30']]],
  [203, 'Turkey', 'TR', 174, 'TRY', 'latin', '+90 5', [['İstanbul', 'Beşiktaş', '34353']]],
  [174, 'Saudi Arabia', 'SA', 120, 'SAR', 'arabic', '+966 5', [['الرياض', 'الرياض', '11564']]],
  [209, 'United Arab Emirates', 'AE', 122, 'AED', 'arabic', '+971 5', [[null, 'دبي', '00000']]],
];

const EU_RARE_ROWS: readonly Row[] = [
  [97, 'Israel', 'IL', 106, 'EUR', 'hebrew', '+972 5', [['תל אביב', 'תל אביב-יפו', '6433222']]],
  [130, 'Moldova', 'MD', 140, 'RON', 'romanian', '+373 6', [[null, 'Chișinău', 'MD-2001']]],
  [116, 'Macedonia', 'MK', 141, 'EUR', 'cyrillic', '+389 7', [[null, 'Скопје', '1000']]],
  [166, 'Reunion', 'RE', 106, 'EUR', 'latin', '+262 6', [[null, 'Saint-Denis', '97400']]],
  [175, 'Serbia', 'RS', 146, 'EUR', 'cyrillic', '+381 6', [[null, 'Београд', '11000']]],
  [26, 'Bosnia and Herzegovina', 'BA', 146, 'EUR', 'latin', '+387 6', [[null, 'Banja Luka', '78000']]],
  [192, 'Switzerland', 'CH', 114, 'CHF', 'latin', '+41 7', [['Zürich', 'Zürich', '8001']]],
  [
    215,
    'Vatican City State (Holy See)',
    'VA',
    107,
    'EUR',
    'latin',
    '+39 06',
    [[null, 'Città del Vaticano', '00120']],
  ],
  [208, 'Ukraine', 'UA', 112, 'PLN', 'cyrillic', '+380 6', [['Львівська область', 'Львів', '79000']]],
  [114, 'Luxembourg', 'LU', 152, 'EUR', 'latin', '+352 6', [[null, 'Esch-sur-Alzette', '4001']]],
];

const US_ROWS: readonly Row[] = [
  [
    211,
    'United States',
    'US',
    100,
    'USD',
    'latin',
    '+1 212 ',
    [
      ['New York', 'New York', '10001'],
      ['California', 'San José', '95110'],
      ['Texas', 'Austin', '78701-1234'],
    ],
  ],
];

const US_RARE_ROWS: readonly Row[] = [
  [164, 'Puerto Rico', 'PR', 100, 'USD', 'latin', '+1 787 ', [[null, 'Mayagüez', '00680']]],
  [219, 'Virgin Islands (U.S.)', 'VI', 100, 'USD', 'latin', '+1 340 ', [[null, 'Charlotte Amalie', '00802']]],
];

const GLOBAL_ROWS: readonly Row[] = [
  [
    100,
    'Japan',
    'JP',
    118,
    'JPY',
    'japanese',
    '+81 90',
    [
      ['東京都', '千代田区', '100-0005'],
      ['大阪府', '大阪市北区', '530-0001'],
    ],
  ],
  [
    185,
    'Republic of Korea',
    'KR',
    119,
    'KRW',
    'korean',
    '+82 10',
    [
      ['서울특별시', '중구', '04524'],
      ['부산광역시', '해운대구', '48099'],
    ],
  ],
  [128, 'Mexico', 'MX', 110, 'MXN', 'latin', '+52 55', [['Yucatán', 'Mérida', '97000']]],
  [29, 'Brazil', 'BR', 132, 'BRL', 'latin', '+55 11', [['São Paulo', 'São Paulo', '01310-100']]],
  [12, 'Australia', 'AU', 103, 'AUD', 'latin', '+61 4', [['New South Wales', 'Sydney', '2000']]],
  [37, 'Canada', 'CA', 101, 'CAD', 'latin', '+1 514 ', [['Québec', 'Montréal', 'H2Y 1C6']]],
];

const GLOBAL_RARE_ROWS: readonly Row[] = [
  [194, 'Taiwan, China', 'TW', 118, 'JPY', 'japanese', '+886 9', [[null, '臺北市', '100']]],
  [226, 'Hong Kong', 'HK', 118, 'JPY', 'latin', '+852 9', [[null, 'Kowloon', '999077']]],
  [217, 'Vietnam', 'VN', 103, 'AUD', 'latin', '+84 9', [[null, 'Đà Nẵng', '550000']]],
  [
    107,
    "Lao People's Democratic Republic",
    'LA',
    103,
    'AUD',
    'latin',
    '+856 2',
    [[null, 'Vientiane', '01000']],
  ],
];

function country([regionId, name, code, siteId, currency, script, phone, cities]: Row): Country {
  return { regionId, name, code, siteId, currency, script, phone, cities };
}

const EU = EU_ROWS.map(country);
const EU_RARE = EU_RARE_ROWS.map(country);
const US = US_ROWS.map(country);
const US_RARE = US_RARE_ROWS.map(country);
const GLOBAL = GLOBAL_ROWS.map(country);
const GLOBAL_RARE = GLOBAL_RARE_ROWS.map(country);

/** Buyers' countries by the shop's region: frequent and rare ones. */
export const COUNTRIES = {
  EU: { often: EU, seldom: EU_RARE },
  US: { often: US, seldom: US_RARE },
  GLOBAL: { often: GLOBAL, seldom: GLOBAL_RARE },
} as const;

/** Unknown country names (T9). */
export const UNKNOWN_COUNTRIES = ['Atlantis', 'Ruritania', 'Île Imaginaire', 'Γη του Πουθενά'] as const;
