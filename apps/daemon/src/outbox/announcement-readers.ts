/** Several who read what the outbox announces, each at its own pace: what all of them have is forgotten. */
import type { AnnouncedChange } from './rows.ts'

/** What one of them needs of the outbox. */
export interface Announcements {
  announcements(after: number, limit: number): readonly AnnouncedChange[]
  /** They may be forgotten, at once or later. */
  forgetAnnouncements(throughSeq: number): void
}

export class AnnouncementReaders {
  readonly #outbox: Announcements
  readonly #through: number[] = []

  constructor(outbox: Announcements) {
    this.#outbox = outbox
  }

  /** One more; nothing is forgotten before it says so. */
  add(): Announcements {
    const reader = this.#through.push(0) - 1
    return {
      announcements: (after, limit) => this.#outbox.announcements(after, limit),
      forgetAnnouncements: (throughSeq) => {
        this.#through[reader] = throughSeq
        this.#outbox.forgetAnnouncements(Math.min(...this.#through))
      },
    }
  }
}
