import { couriers } from './registry.ts';
import { matchesCourier } from './selection.ts';

/**
 * E9: why a number cannot be one of its carrier's; undefined: it can, or nobody knows. Whose it is instead is not guessed.
 * Couriers count that are off, too; of several with that name (a broker's and a carrier's) each must be sure.
 */
export function numberWarning(carrier: string, awbNumber: string): string | undefined {
  const named = couriers
    .filter(({ selection }) => matchesCourier(carrier, selection.courier))
    .map(({ title, numberForm }) => ({ title, form: numberForm }));
  const [only] = named;
  if (!only?.form || named.some(({ form }) => !form || form.fits(awbNumber.toUpperCase()))) return undefined;
  return `AWB ${awbNumber} cannot be one of ${only.title}’s numbers: those are ${only.form.says}`;
}
