import { readFileSync } from 'node:fs'
import { availableParallelism } from 'node:os'
import type { CgroupLimits } from './cgroup.ts'

const mebibyte = 1024 * 1024

/** What the service itself needs. */
const ownBytes = 256 * mebibyte
/** What an MCP server is taken to need. */
const assumedBytes = 100 * mebibyte
const mostProcesses = 50

/** So many servers have to be measured before their mean says something. */
const minSamples = 3

export interface ProcessLimits {
  maxAlive: number
  maxStarting: number
}

/**
 * How many MCP servers may be alive and may start at once. What the operator has set counts; else it is what fits into
 * the memory and the processor of this process's control group.
 */
export function resolveProcessLimits (
  set: { maxAlive: number | null, maxStarting: number | null }, { memoryBytes, cpus }: CgroupLimits,
  cores = availableParallelism()
): ProcessLimits {
  return {
    maxAlive: set.maxAlive ?? (memoryBytes === null ? mostProcesses : fitting(memoryBytes, assumedBytes)),
    maxStarting: set.maxStarting ?? Math.max(1, Math.floor(Math.min(cores, cpus ?? cores)))
  }
}

/** How many servers of that size fit beside the service: one at least, for none would serve nobody. */
const fitting = (memoryBytes: number, bytes: number) =>
  Math.min(mostProcesses, Math.max(1, Math.floor((memoryBytes - ownBytes) / bytes)))

export interface Misfit { meanBytes: number, fitting: number }

/**
 * Collects what servers really need. Gives their mean once, as soon as it is known that `maxAlive` of them do not fit
 * into the memory.
 */
export function createFitCheck (maxAlive: number, memoryBytes: number | null): (bytes: number) => Misfit | null {
  let sum = 0
  let count = 0
  let isSaid = false
  return bytes => {
    sum += bytes
    count++
    const meanBytes = sum / count
    if (isSaid || memoryBytes === null || count < minSamples) return null
    // Half as much again is far from what was assumed; less is within what the service has for itself.
    if (ownBytes + maxAlive * meanBytes <= memoryBytes || meanBytes < 1.5 * assumedBytes) return null
    isSaid = true
    return { meanBytes: Math.round(meanBytes), fitting: fitting(memoryBytes, meanBytes) }
  }
}

/** The memory of a process and of all below it (bytes); `null` where the system does not say it, or it has ended. */
export function memoryOf (pid: number): number | null {
  try {
    const [, kibibytes] = /^Pss: +(\d+) kB/m.exec(readFileSync(`/proc/${pid}/smaps_rollup`, 'utf8')) ?? []
    if (kibibytes === undefined) return null
    const children = readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').trim().split(' ').filter(Boolean)
    return children.reduce((sum, child) => sum + (memoryOf(Number(child)) ?? 0), Number(kibibytes) * 1024)
  } catch {
    return null
  }
}
