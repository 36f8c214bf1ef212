/**
 * Temu's regionId by ISO 3166-1 alpha-2 country: its region table (tests/fixtures/temu/region-ids.json; a test keeps
 * the two in step). Companies are listed by region (A4).
 */
const TABLE = `
AD 5, AE 209, AF 2, AG 8, AI 7, AL 3, AM 10, AO 6, AR 9, AT 13, AU 12, AW 11, AZ 14, BA 26, BB 18,
BD 17, BE 20, BF 33, BG 32, BH 16, BI 34, BJ 22, BM 23, BN 31, BO 25, BR 29, BS 15, BT 24, BV 28,
BW 27, BY 19, BZ 21, CA 37, CF 40, CG 47, CH 192, CK 48, CL 42, CM 36, CN 43, CO 45, CR 49, CU 51,
CV 38, CX 44, CY 52, CZ 53, DE 76, DJ 55, DK 54, DM 56, DO 57, DZ 4, EC 59, EE 64, EG 60, EH 221,
ER 63, ES 186, ET 65, FI 68, FJ 67, FM 129, FO 66, FR 69, GA 73, GB 210, GD 81, GE 75, GF 70, GH 77,
GI 78, GL 80, GM 74, GN 85, GP 82, GQ 62, GR 79, GT 84, GU 83, GW 86, GY 87, HK 226, HN 89, HR 50,
HT 88, HU 90, ID 93, IE 96, IL 97, IN 92, IO 30, IQ 95, IR 94, IS 91, IT 98, JM 99, JO 101, JP 100,
KE 103, KG 106, KH 35, KI 104, KM 46, KP 150, KR 185, KW 105, KY 39, KZ 102, LA 107, LB 109, LC 170,
LI 112, LK 187, LR 111, LS 110, LT 113, LU 114, LV 108, MA 135, MC 131, MD 130, ME 134, MG 117,
MH 123, MK 116, ML 121, MM 137, MN 132, MO 115, MQ 124, MR 125, MS 133, MT 122, MU 126, MV 120,
MW 118, MX 128, MY 119, MZ 136, NA 138, NC 143, NE 146, NF 149, NG 147, NI 145, NL 141, NO 151,
NP 140, NR 139, NU 148, NZ 144, OM 152, PA 156, PE 159, PF 71, PG 157, PH 160, PK 153, PL 162,
PN 161, PR 164, PS 155, PT 163, PW 154, PY 158, QA 165, RE 166, RO 167, RS 175, RU 168, RW 169,
SA 174, SB 182, SC 177, SD 188, SE 191, SG 179, SI 181, SK 180, SL 178, SM 172, SN 176, SO 183,
SR 189, ST 173, SV 61, SY 193, SZ 190, TC 205, TD 41, TF 72, TG 198, TH 197, TJ 195, TK 199, TL 58,
TM 204, TN 202, TO 200, TR 203, TT 201, TV 206, TW 194, TZ 196, UA 208, UG 207, US 211, UY 212,
UZ 213, VA 215, VE 216, VG 218, VI 219, VN 217, VU 214, WF 220, WS 171, XK 235, YE 222, YT 127,
ZA 184, ZM 224, ZW 225`;

const REGIONS = new Map(
  TABLE.trim()
    .split(/,\s*/)
    .map((pair) => {
      const [country, id] = pair.split(' ');
      return [country ?? '', Number(id)] as const;
    }),
);

export const regionOf = (country: string): number | undefined => REGIONS.get(country);
