export type SinkEvent = { readonly sink: string } & UnnamedSinkEvent

/** What somebody may want to know as it happens. */
export type UnnamedSinkEvent =
  | { readonly type: 'exported'; readonly partition: string; readonly rows: number }
  | { readonly type: 'lost'; readonly partition: string; readonly rows: number }
  | { readonly type: 'failed'; readonly partition: string; readonly failures: number; readonly error: unknown }
  | { readonly type: 'recovered'; readonly partition: string }
  | { readonly type: 'stopped'; readonly error: unknown }
