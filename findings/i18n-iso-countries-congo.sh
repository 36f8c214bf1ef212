#!/usr/bin/env bash
# i18n-iso-countries: one English name, two countries.
#
# One would guess that a library which turns names of countries into ISO codes gives a code only for a name that means
# one country, or that it gives the bigger one, as people do who write "Congo" on a parcel.
# Seen: its English names hold "Congo" for CG (Republic of the Congo, Brazzaville) and for CD (Democratic Republic of the
# Congo, Kinshasa, eighteen times as many people); getAlpha2Code returns CG without a word. A parcel for
# Kinshasa addressed to "Congo" gets CG, the country across the river; both are valid codes, so no check finds it.
#
# Versions: i18n-iso-countries 7.14.0, Node 20. Date: 2026-11-29. Source: seen when addresses of orders were matched.
set -euo pipefail
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
cd "$dir"
npm init -y >/dev/null
npm install --silent --no-audit --no-fund i18n-iso-countries@7.14.0 >/dev/null
seen=$(node -e '
  const countries = require("i18n-iso-countries");
  const names = countries.getNames("en", { select: "all" });
  const sharing = Object.entries(names).filter(([, all]) => all.includes("Congo")).map(([code]) => code).sort();
  console.log("named Congo:", sharing.join(" "));
  console.log("getAlpha2Code(Congo):", countries.getAlpha2Code("Congo", "en"));
  console.log("getSimpleAlpha2Code(congo):", countries.getSimpleAlpha2Code("congo", "en"));
')
echo "$seen"
expected='named Congo: CD CG
getAlpha2Code(Congo): CG
getSimpleAlpha2Code(congo): CG'
if [ "$seen" != "$expected" ]; then
  printf 'This has changed. Expected:\n%s\n' "$expected" >&2
  exit 1
fi
