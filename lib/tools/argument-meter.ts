/** Counts the work of one check, so that no schema can make it long. */
export interface Meter {
  /** Steps that are left. */
  left: number
  /** What is thrown when there are none. */
  readonly spent: Error
  /** Takes steps. Throws `spent` when there are not enough. */
  spend: (steps: number) => void
}

export function createMeter (): Meter {
  const meter: Meter = {
    left: 0,
    spent: new Error('too many steps'),
    spend (steps) {
      meter.left -= steps
      if (meter.left < 0) throw meter.spent
    }
  }
  return meter
}
