/** Groups of those that have the same of something, in the order in which the first of each comes. */
export function alike<T, K>(all: readonly T[], of: (one: T) => K): [K, [T, ...T[]]][] {
  const groups = new Map<K, [T, ...T[]]>();
  for (const one of all) {
    const its = groups.get(of(one));
    if (its) its.push(one);
    else groups.set(of(one), [one]);
  }
  return [...groups];
}
