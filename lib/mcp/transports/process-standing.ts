import { readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { constants, getPriority, setPriority } from 'node:os'

/*
 * What the kernel takes from a server before it takes it from the worker, which serves everybody. To be called when the
 * process has just been started: its threads and what it starts take it over. Nothing here throws: a server can be used
 * all the same when the system does not allow this, and it may have ended.
 */

/**
 * Lets a process wait for the processor behind this one. Where both have enough it changes nothing. `niceness` is added
 * to that of this process; 0 leaves the process as it is.
 *
 * Where the kernel groups processes by session (autogroup, outside of control groups), niceness counts within a group
 * only, and a server leads a session of its own: the group is given the same.
 *
 * @see https://man7.org/linux/man-pages/man7/sched.7.html
 */
export function lowerPriority (pid: number, niceness: number): void {
  if (niceness === 0) return
  attempt(() => {
    const priority = Math.min(getPriority() + niceness, constants.priority.PRIORITY_LOW)
    setPriority(pid, priority)
    if (process.platform === 'linux') lowerThreads(pid, priority)
  })
}

function lowerThreads (pid: number, priority: number): void {
  // Linux means one thread. Those that there are already, where this process had to wait, have not taken it over.
  for (const thread of readdirSync(`/proc/${pid}/task`)) attempt(() => setPriority(Number(thread), priority))
  // This fails where the kernel has no such groups. A user other than root may do it ten times a second.
  attempt(() => writeFileSync(`/proc/${pid}/autogroup`, String(priority)))
}

/** What is added to the badness of a process: as if it had half of the memory on top of what it has (thousandths). */
const addedBadness = 500
const worst = 1_000
/** Set by who started this process, and read once. */
let ownBadness: number | null = null

/**
 * Has the kernel end a process before this one where memory runs out, also when many small ones have taken it. Where
 * this process has more than 500 itself, as in most pods, less is left to tell them apart by: docs/deployment.md.
 *
 * @see https://man7.org/linux/man-pages/man5/proc_pid_oom_score_adj.5.html
 */
export function offerToOomKiller (pid: number): void {
  if (process.platform !== 'linux') return
  attempt(() => {
    ownBadness ??= Number(readFileSync('/proc/self/oom_score_adj', 'utf8'))
    writeFileSync(`/proc/${pid}/oom_score_adj`, String(Math.min(ownBadness + addedBadness, worst)))
  })
}

function attempt (change: () => void): void {
  try {
    change()
  } catch {}
}
