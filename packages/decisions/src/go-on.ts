/** An iteration whose first step was taken already. */
export async function* goOn<T>(first: T, rest: AsyncIterator<T>): AsyncGenerator<T> {
  yield first
  for (let step = await rest.next(); step.done !== true; step = await rest.next()) yield step.value
}
