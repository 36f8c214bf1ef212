/** Names and streets in the scripts that Temu's buyers write in. */
export type ScriptName = keyof typeof SCRIPTS;

interface Script {
  first: readonly string[];
  last: readonly string[];
  streets: readonly string[];
}

export const SCRIPTS = {
  latin: {
    first: ['Emma', 'Liam', 'Chloé', 'Jürgen', 'Søren', 'Zoë', 'François', "D'Arcy", 'Łukasz', 'Ñusta'],
    last: [
      'Müller',
      'García',
      "O'Connor",
      'Dvořák',
      'Nagy',
      'Kowalczyk',
      'de la Cruz',
      'Öztürk',
      'Smith-Jones',
    ],
    streets: [
      'Hauptstraße 5',
      '12 Rue de l’Église',
      'Calle Mayor 3, 2º B',
      'Via Roma 18/A',
      '221B Baker Street',
    ],
  },
  romanian: {
    first: ['Ștefan', 'Țuca', 'Ioana', 'Răzvan', 'Mălina', 'Anca'],
    last: ['Brâncuși', 'Țepeș', 'Ionescu', 'Câmpeanu', 'Şerban', 'Popa'],
    streets: ['Șos. Ștefan cel Mare 5/7, bl. 3, ap. 12', 'Str. Înfrățirii nr. 9', 'Bd. Țării 110'],
  },
  greek: {
    first: ['Γιώργος', 'Ελένη', 'Δημήτρης', 'Σοφία'],
    last: ['Παπαδόπουλος', 'Οικονόμου', 'Αλεξίου', 'Ψαρράς'],
    streets: ['Οδός Ερμού 15', 'Λεωφόρος Κηφισίας 44', 'Αγίου Κωνσταντίνου 7'],
  },
  cyrillic: {
    first: ['Георги', 'Мария', 'Христина', 'Юлия'],
    last: ['Иванов', 'Димитрова', 'Щерев', 'Жеков'],
    streets: ['бул. Витоша 12', 'ул. „Цар Симеон“ 8', 'ж.к. Младост 4, бл. 401'],
  },
  arabic: {
    first: ['محمد', 'فاطمة', 'عبد الله', 'نورة'],
    last: ['العتيبي', 'الحربي', 'آل سعود', 'القحطاني'],
    streets: ['شارع الملك فهد ١٢', 'حي النخيل، مبنى 5', 'طريق العليا 301'],
  },
  hebrew: {
    first: ['נועה', 'דוד', 'יעל', 'משה'],
    last: ['כהן', 'לוי', 'מזרחי', 'פרץ'],
    streets: ['רחוב דיזנגוף 99', 'שדרות רוטשילד 12', 'הרצל 4 א׳'],
  },
  japanese: {
    first: ['太郎', '花子', 'さくら', '健一'],
    last: ['佐藤', '鈴木', '髙橋', '𠮷田'],
    streets: ['丸の内1丁目9−2 グラントウキョウ', '大字中町３番地', 'ハイツさくら201号室'],
  },
  korean: {
    first: ['민준', '서연', '지우', '하윤'],
    last: ['김', '이', '박', '최'],
    streets: ['세종대로 110', '테헤란로 152, 12층', '해운대해변로 264'],
  },
} as const satisfies Record<string, Script>;
