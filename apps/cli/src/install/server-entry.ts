/** How an agent starts our server. */
export interface ServerEntry {
  readonly command: string
  readonly args: readonly string[]
  readonly env: Readonly<Record<string, string>>
}

/** A configuration that is to have our server. */
export interface ConfigEdit {
  readonly path: string
  /** Null: there is no such file. */
  readonly before: string | null
  /** Null: what is ours is taken out. */
  readonly entry: ServerEntry | null
}
