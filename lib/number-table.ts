/** Values by number. Made for what comes and goes with each request. */
export interface NumberTable<Value> {
  size: () => number
  get: (key: number) => Value | undefined
  set: (key: number, value: Value) => void
  delete: (key: number) => void
  values: () => Value[]
}

/**
 * A `Map` that lives as long as the worker must not hold what lives as long as a request. V8 makes room in a map by
 * moving its entries to a new table, and the old table refers to the new one. An old table that the collector has
 * already moved to the old generation keeps all later tables, and with them whatever they held, until the next full
 * collection: what should be dropped is copied, over and over. The same holds for a `Set`, and not for an object.
 */
export function createNumberTable<Value> (): NumberTable<Value> {
  const values: Record<number, Value> = Object.create(null)
  let size = 0

  return {
    size: () => size,
    get: key => values[key],
    set (key, value) {
      if (!(key in values)) size++
      values[key] = value
    },
    delete (key) {
      if (!(key in values)) return
      size--
      delete values[key]
    },
    values: () => Object.values(values)
  }
}
