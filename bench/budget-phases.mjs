/* The phases of a call, between the marks of probe.mjs, and what a block of calls says of them. */

/** Each phase with the mark that ends it; it begins at the mark before. Sizes of a call are for one call. */
export const phases = [
  ['hooks before the body is read', 'hooked'],
  ['body read and parsed', 'parsed'],
  ['body checked', 'checked'],
  ['hooks up to the session', 'load'],
  ['session loaded from Redis', 'loaded'],
  ['hooks up to the call', 'call'],
  ['tool found, arguments filled and checked', 'tool'],
  ['call to the MCP server', 'answered'],
  ['result read', 'write'],
  ['values written to Redis', 'written'],
  ['reply made', 'reply'],
  ['reply sent', 'sent'],
  ['after the reply: its end noticed', 'closed'],
  ['after the reply: log lines', 'logged']
]

/** What one call took in a block of calls: each phase (µs), all of them, and what was counted. */
export function readBlock ({ marks, counters }, calls) {
  for (const [name, { count }] of Object.entries(marks)) {
    if (count !== calls) throw new Error(`${calls} calls passed the mark ${name} ${count} times`)
  }
  const order = ['request', ...phases.map(([, end]) => end)]
  const phaseUs = phases.map((_, index) => (marks[order[index + 1]].sum - marks[order[index]].sum) * 1_000 / calls)
  return {
    phaseUs,
    totalUs: phaseUs.reduce((sum, us) => sum + us, 0),
    perCall: Object.fromEntries(Object.entries(counters).map(([name, value]) => [name, value / calls]))
  }
}

/** The block whose call took as long as the median: its phases add up, as medians of phases would not. */
export function medianBlock (blocks) {
  return [...blocks].sort((a, b) => a.totalUs - b.totalUs)[Math.floor(blocks.length / 2)]
}
