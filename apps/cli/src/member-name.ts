/** The name that a host's member gets when nobody chose one: the first label of the host's name, made to fit. */
export function defaultMemberName(hostname: string): string {
  const label = hostname.split('.')[0] ?? ''
  const name = label
    .toLowerCase()
    .replace(/[^a-z0-9]+/g, '-')
    .slice(0, 64)
    .replace(/^-|-$/g, '')
  return name === '' ? 'member' : name
}
