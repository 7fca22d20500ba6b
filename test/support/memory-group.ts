import { mkdirSync, readFileSync, rmdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Test } from 'tap'
import { until } from './wait.ts'

/** A control group of a test's own, with a limit of memory. */
export interface MemoryGroup {
  add: (pid: number) => void
  /** How many of its processes the kernel has ended because memory ran out. */
  ended: () => number
}

const versions = [
  {
    controller: 'memory',
    mount: '/sys/fs/cgroup/memory',
    limit: 'memory.limit_in_bytes',
    swap: { file: 'memory.memsw.limit_in_bytes', isIncluded: true },
    events: 'memory.oom_control'
  },
  {
    controller: '',
    mount: '/sys/fs/cgroup',
    limit: 'memory.max',
    swap: { file: 'memory.swap.max', isIncluded: false },
    events: 'memory.events'
  }
]

/** Makes the group below that of this process; `null` where this process may not, or has no such control groups. */
export function makeMemoryGroup (t: Test, bytes: number): MemoryGroup | null {
  const membership = readFileSync('/proc/self/cgroup', 'utf8')
  for (const { controller, mount, limit, swap, events } of versions) {
    const [, path] = new RegExp(`^\\d+:${controller}:(/.*)$`, 'm').exec(membership) ?? []
    if (path === undefined) continue
    const folder = join(mount, path, `mcp-test-${process.pid}`)
    try {
      mkdirSync(folder)
    } catch {
      continue
    }
    // A group can be removed when its last process is gone.
    t.teardown(() => until(() => attempt(() => rmdirSync(folder)), 'the control group is empty'))
    // Version 1 and version 2 without the controller have no such file, and none can be made.
    if (!attempt(() => writeFileSync(join(folder, limit), String(bytes), { flag: 'r+' }))) continue
    // A machine without swap may not have the file.
    attempt(() => writeFileSync(join(folder, swap.file), String(swap.isIncluded ? bytes : 0), { flag: 'r+' }))
    return {
      add: pid => writeFileSync(join(folder, 'cgroup.procs'), String(pid)),
      ended: () => Number(/^oom_kill (\d+)$/m.exec(readFileSync(join(folder, events), 'utf8'))?.[1] ?? NaN)
    }
  }
  return null
}

function attempt (work: () => void): boolean {
  try {
    work()
    return true
  } catch {
    return false
  }
}
