/** Names that stand for others (07 §1). They never lead in a circle: a name that would close one is not taken. */

/** Whether a name would lead back to itself if it stood for `target` from now on. */
export function closesCycle(aliases: ReadonlyMap<string, string>, o: { name: string; target: string }): boolean {
  for (let next: string | undefined = o.target; next !== undefined; next = aliases.get(next)) {
    if (next === o.name) return true
  }
  return false
}
