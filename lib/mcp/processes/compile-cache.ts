import { lstatSync, mkdirSync } from 'node:fs'
import { readdir, rm, rmdir, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { ConfigError } from '../../errors.ts'

/** What compiled code of all servers may take (bytes). A small server with the SDK takes 0.7 MB. */
export const maxCompileCacheBytes = 67_108_864

const writableByOthers = 0o022

/**
 * Makes the folder for compiled code in one that exists, or looks at the one that is there. Servers run what is in it,
 * so only the service's user may write to it. The folders above it are not looked at. Throws ConfigError.
 */
export function prepareCompileCache (folder: string): void {
  const fault = makeFolder(folder) ?? findFault(folder)
  if (fault === null) return
  const rule = 'must name a folder that nobody but the service\'s user may write to'
  throw new ConfigError(`MCP_NODE_COMPILE_CACHE ${rule}, but ${JSON.stringify(folder)} ${fault}`)
}

function makeFolder (folder: string): string | null {
  try {
    // Not recursively: in /proc, for one, that would never end.
    mkdirSync(folder, { mode: 0o700 })
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException
    if (code !== 'EEXIST') return `cannot be made (${code})`
  }
  return null
}

function findFault (folder: string): string | null {
  const stats = lstatSync(folder)
  if (stats.isSymbolicLink()) return 'is a link'
  if (!stats.isDirectory()) return 'is no folder'
  const user = process.geteuid?.()
  if (user !== undefined && stats.uid !== user) return `belongs to user ${stats.uid}, and the service is user ${user}`
  return (stats.mode & writableByOthers) === 0 ? null : 'may be written to by others: take it from them (chmod go-w)'
}

/**
 * Removes the oldest files until half of `maxBytes` is left, when all take more than that. A server whose code is gone
 * compiles it again. Gives the bytes that were removed. Rejects when the folder cannot be read.
 */
export async function trimCompileCache (folder: string, maxBytes: number): Promise<number> {
  const entries = await readdir(folder, { recursive: true, withFileTypes: true })
  const files = (await Promise.all(entries.filter(entry => !entry.isDirectory()).map(read))).flat()
  const before = sum(files.map(({ bytes }) => bytes))
  if (before <= maxBytes) return 0
  let bytes = before
  for (const file of files.sort((a, b) => a.changedMs - b.changedMs)) {
    if (bytes <= maxBytes / 2) break
    await rm(file.path, { force: true })
    bytes -= file.bytes
  }
  await removeEmpty(entries.filter(entry => entry.isDirectory()).map(pathOf))
  return before - bytes
}

interface Entry { parentPath: string, name: string }

const pathOf = ({ parentPath, name }: Entry) => join(parentPath, name)
const sum = (numbers: readonly number[]) => numbers.reduce((total, number) => total + number, 0)

/** Nothing for a file that another worker has removed meanwhile. */
async function read (entry: Entry) {
  const path = pathOf(entry)
  const stats = await stat(path).catch(() => null)
  return stats === null ? [] : [{ path, bytes: stats.size, changedMs: stats.mtimeMs }]
}

/** The deepest come first. A folder that holds something stays, for the system refuses to remove it. */
async function removeEmpty (folders: readonly string[]): Promise<void> {
  for (const folder of [...folders].sort((a, b) => b.length - a.length)) await rmdir(folder).catch(() => {})
}
