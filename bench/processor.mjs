/* Processor time and memory of processes, and who started whom, as Linux tells it: see proc(5). */
import { readdirSync, readFileSync } from 'node:fs'

/**
 * Processor time of a process since its start (ms). It is the sum of its threads, in nanoseconds: the counters of
 * /proc/<pid>/stat have ticks of 10 ms. A process that has ended counts as 0.
 */
export function processorMs (pid) {
  return threadsOf(pid).reduce((sum, thread) => {
    const [nanoseconds = '0'] = read(`/proc/${pid}/task/${thread}/schedstat`).split(' ')
    return sum + Number(nanoseconds)
  }, 0) / 1e6
}

function threadsOf (pid) {
  try {
    return readdirSync(`/proc/${pid}/task`)
  } catch {
    return [] // it has ended
  }
}

/** A process and all that descend from it. */
export function processTree (root) {
  const children = new Map()
  for (const pid of readdirSync('/proc').filter(name => /^\d+$/.test(name)).map(Number)) {
    const stat = read(`/proc/${pid}/stat`)
    const parent = Number(stat.slice(stat.lastIndexOf(')') + 2).split(' ')[1])
    children.set(parent, [...children.get(parent) ?? [], pid])
  }
  const below = pid => [pid, ...(children.get(pid) ?? []).flatMap(below)]
  return below(root)
}

/** Resident memory of one process, without what it started (bytes). */
export function residentBytes (pid) {
  const [, kilobytes = NaN] = /VmRSS:\s+(\d+) kB/.exec(read(`/proc/${pid}/status`)) ?? []
  return Number(kilobytes) * 1_024
}

/** How long the cores of the machine worked since its start, for whomever (ms), as the sum of all cores. */
export function machineBusyMs () {
  const [user, nice, system, , , irq, softirq, steal] = read('/proc/stat').split('\n')[0].split(/ +/).slice(1).map(Number)
  return (user + nice + system + irq + softirq + steal) * 10
}

export function read (file) {
  try {
    return readFileSync(file, 'utf8')
  } catch {
    return '' // the process has just ended
  }
}
