/** How the failure of a courier with this title begins, whose response has no parcels in it; for a new courier, too. */
export const malformedBy = (title: string): string => `malformed: ${title} returned`;
