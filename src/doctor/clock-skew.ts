import { type Finding, fault, warning } from './check.ts';

const NTP =
  'synchronize this machine’s clock by NTP (timedatectl set-ntp true; in a container, the host’s clock), or the other clock if that one is wrong';

/**
 * Compares another clock with ours.
 * @param skewMs theirs minus ours
 * @returns nothing when both agree
 */
export function clockFinding(
  whose: string,
  skewMs: number,
  { warnMs, faultMs }: { warnMs: number; faultMs: number },
): Finding[] {
  const size = Math.abs(skewMs);
  if (size <= warnMs) return [];
  const says = `The clock of ${whose} is ${Math.round(size / 1000)} s ${skewMs > 0 ? 'ahead of' : 'behind'} ours`;
  return [size > faultMs ? fault(says, NTP) : warning(says, NTP)];
}
