/** One page of a keyset list: `next` is what to send as `after`, null on the last one. */
export interface Page<Row> {
  readonly rows: readonly Row[]
  readonly next: string | null
}

/**
 * Every row of a paged list, one page fetched at a time and only when its rows are asked for.
 *
 * @param fetchPage is called with null for the first page
 */
export async function* eachRow<Row>(
  fetchPage: (after: string | null) => Promise<Page<Row>>,
): AsyncGenerator<Row, void, undefined> {
  let after: string | null = null
  do {
    const page: Page<Row> = await fetchPage(after)
    yield* page.rows
    after = page.next
  } while (after !== null)
}
