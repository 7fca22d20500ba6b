import { readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'

/** What the control groups of this process allow it; `null` where there is no limit. */
export interface CgroupLimits {
  memoryBytes: number | null
  /** In cores, 0.5 for half of one. */
  cpus: number | null
}

/** Version 1 writes the largest number of pages for no limit. */
const unlimitedBytes = 2 ** 60

/**
 * Reads the limits of the groups that this process is in, and of all groups above: the smallest counts.
 *
 * Where a container sees the paths of its host, the root of what is mounted is its own group. Never fails: what cannot
 * be read is no limit.
 *
 * @see https://docs.kernel.org/admin-guide/cgroup-v2.html
 */
export function readCgroupLimits (
  { membership = '/proc/self/cgroup', mount = '/sys/fs/cgroup' }: { membership?: string, mount?: string } = {}
): CgroupLimits {
  const memory: Array<number | null> = []
  const cpus: Array<number | null> = []
  for (const line of read(membership).split('\n')) {
    const [, controllers, path] = /^\d+:([^:]*):(\/.*)$/.exec(line) ?? []
    if (controllers === undefined || path === undefined) continue
    const names = controllers.split(',')
    if (controllers === '') {
      for (const folder of foldersOf(mount, path)) {
        memory.push(numberIn(read(join(folder, 'memory.max'))))
        cpus.push(quotaIn(read(join(folder, 'cpu.max'))))
      }
    }
    if (names.includes('memory')) {
      for (const folder of foldersOf(join(mount, 'memory'), path)) {
        memory.push(numberIn(read(join(folder, 'memory.limit_in_bytes'))))
      }
    }
    if (names.includes('cpu')) {
      // The mount has the name of all controllers in it, and usually a link for each.
      for (const name of new Set(['cpu', controllers])) {
        for (const folder of foldersOf(join(mount, name), path)) {
          const [quota, period] = ['cpu.cfs_quota_us', 'cpu.cfs_period_us'].map(file => read(join(folder, file)).trim())
          cpus.push(quotaIn(`${quota} ${period}`))
        }
      }
    }
  }
  return { memoryBytes: smallest(memory), cpus: smallest(cpus) }
}

/** The folder of a group and those of the groups above it. */
function foldersOf (mount: string, path: string): string[] {
  // A process outside of its own namespace's root has a path like /../..
  const parts = path.split('/').filter(part => part !== '' && part !== '..')
  const folders = [join(mount, ...parts)]
  while (folders[0] !== mount) folders.unshift(dirname(folders[0] ?? mount))
  return folders
}

function read (file: string): string {
  try {
    return readFileSync(file, 'utf8')
  } catch {
    return ''
  }
}

/** `max`, and what is no number, is no limit. */
function numberIn (text: string): number | null {
  const number = Number(text.trim() || NaN)
  return number >= 0 && number < unlimitedBytes ? number : null
}

/** `quota period`, of which the quota may be `max`, or -1 in version 1. */
function quotaIn (text: string): number | null {
  const [quota = NaN, period = NaN] = text.trim().split(/\s+/).map(Number)
  return quota > 0 && period > 0 ? quota / period : null
}

const smallest = (limits: Array<number | null>) => {
  const known = limits.filter(limit => limit !== null)
  return known.length === 0 ? null : Math.min(...known)
}
