/** The label of what is not told apart. */
export const other = 'other'

/** Longest name that a label has (characters). */
const maxLength = 128

/**
 * Names as values of a label. Each becomes a time series of its own, so there are at most `most` for a server, and the
 * names after them are `other`. What a monitoring system could stumble over is replaced, and long names are cut.
 */
export function createToolLabels (most: number): (server: string, tool: string | undefined) => string {
  const known = new Map<string, Map<string, string>>()

  return (server, tool) => {
    if (tool === undefined) return other
    const labels = known.get(server) ?? new Map<string, string>()
    known.set(server, labels)
    const label = labels.get(tool)
    if (label !== undefined) return label
    if (labels.size >= most) return other
    const added = labelOf(tool)
    labels.set(tool, added)
    return added
  }
}

/** A name without control characters and halves of surrogate pairs, cut where that does not cut a character. */
export const labelOf = (name: string) =>
  name.slice(0, maxLength).replace(/[\p{Cc}\p{Zl}\p{Zp}\p{Bidi_Control}\p{Cs}]/gu, '?')
