/** Months begin and end by UTC. @param month its beginning */
export function monthAfter(month: Date): Date {
  const next = new Date(month);
  next.setUTCMonth(next.getUTCMonth() + 1);
  return next;
}
