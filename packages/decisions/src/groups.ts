/** What is bound to each other, transitively: a union-find whose representative is the smallest member (07 §5). */

/** @returns each group of two or more by its smallest member; the members in order */
export function groupBindings(bindings: Iterable<{ readonly a: string; readonly b: string }>): Map<string, string[]> {
  const parents = new Map<string, string>()
  for (const { a, b } of bindings) {
    const [low, high] = [findRoot(parents, a), findRoot(parents, b)].sort() as [string, string]
    // The smaller one is the root, so that a root is the smallest of its group.
    parents.set(low, low)
    parents.set(high, low)
  }
  const groups = new Map<string, string[]>()
  for (const member of [...parents.keys()].sort()) {
    const root = findRoot(parents, member)
    const members = groups.get(root)
    if (members === undefined) groups.set(root, [member])
    else members.push(member)
  }
  for (const [root, members] of groups) if (members.length === 1) groups.delete(root)
  return groups
}

function findRoot(parents: Map<string, string>, member: string): string {
  let root = member
  for (let parent = parents.get(root); parent !== undefined && parent !== root; parent = parents.get(root))
    root = parent
  // Shortens the way for whoever comes next.
  for (let step = member; step !== root; ) {
    const parent = parents.get(step) ?? root
    parents.set(step, root)
    step = parent
  }
  return root
}
