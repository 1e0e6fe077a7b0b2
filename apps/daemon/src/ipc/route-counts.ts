/** How often each route answered, by class of status: two array reads per request, summed up when metrics are read. */
export class RouteCounts {
  readonly #counts = new Map<string, number[]>()

  readonly record = (route: string, status: number): void => {
    let classes = this.#counts.get(route)
    if (classes === undefined) {
      classes = [0, 0, 0, 0, 0, 0]
      this.#counts.set(route, classes)
    }
    const statusClass = Math.min(5, Math.floor(status / 100))
    classes[statusClass] = (classes[statusClass] ?? 0) + 1
  };

  *[Symbol.iterator](): Generator<{ route: string; status: string; count: number }> {
    for (const [route, classes] of this.#counts) {
      for (const [index, count] of classes.entries()) {
        if (count > 0) yield { route, status: `${index}xx`, count }
      }
    }
  }
}
