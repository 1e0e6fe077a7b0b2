/** A digest that is being computed. `update` reads the bytes before it returns and keeps no reference to them. */
export interface Hasher {
  update(chunk: Uint8Array): void
  /** The raw digest; afterwards the hasher is not used again. */
  digest(): Uint8Array
}
