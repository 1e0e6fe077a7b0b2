import { MeshError } from '@claudemesh/protocol'
import type { DiskMeasurement, DiskPressure } from '@claudemesh/storage'
import type { Events } from '../events/events.ts'
import type { Log } from '../log.ts'

/** Tells readers of events and of the log when the disk fills and when there is room again. */
export function pressureEvents(o: {
  events: Events
  log: Log
}): (pressure: DiskPressure, measured: DiskMeasurement) => void {
  return (pressure, { usedBytes, budgetBytes, availableBytes }) => {
    const data = { pressure, used_bytes: usedBytes, budget_bytes: budgetBytes, available_bytes: availableBytes }
    const type = pressure === 'ok' ? 'outbox_pressure_normal' : 'outbox_pressure_high'
    o.log[pressure === 'ok' ? 'info' : 'warn'](data, type)
    try {
      o.events.append([{ type, data }])
    } catch (error) {
      // The disk that is the news may be too full to keep it; health says the same.
      if (!(error instanceof MeshError)) throw error
      o.log.error({ err: error }, 'event_not_stored')
    }
  }
}
