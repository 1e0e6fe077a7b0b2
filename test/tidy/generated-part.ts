/** Documents whose last part is made from the sources: what people wrote before this line stays as it is. */
import { readText } from './sources.ts'

const mark = '<!-- From here on made from the sources by a test, which says how to make it anew. -->'

export function withGeneratedPart(path: string, generated: string): string {
  const [written = '', ...others] = readText(path).split(mark)
  if (others.length !== 1) throw new Error(`${path} has the line\n${mark}`)
  return `${written}${mark}\n\n${generated}`
}
